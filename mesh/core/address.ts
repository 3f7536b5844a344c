// IP addresses and prefixes: parsing, canonical text, containment. IPv4 and IPv6 alike; nothing
// here knows what an address is used for, except for the kinds that no pod or node may have.
// Hundreds of thousands of addresses are read at start: parsing and comparing allocate nothing
// but their result.
import { MeshError } from "./errors.ts";

export type AddressFamily = 4 | 6;

/** One IP address. Two addresses are equal exactly when their `text` is. */
export interface Address {
  readonly family: AddressFamily;
  /** Canonical text: dotted quad, or RFC 5952. */
  readonly text: string;
  /** 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
}

/** An address range with its host bits cleared. Equal exactly when their `text` is. */
export interface Prefix {
  readonly family: AddressFamily;
  /** Canonical `address/length`. */
  readonly text: string;
  readonly bytes: Uint8Array;
  /** 0 … 32 or 0 … 128. */
  readonly length: number;
}

/** Throws `invalid_argument` for anything that is not one plain address (no zone, no port). */
export function parseAddress(text: string): Address {
  const address = addressFromText(text);
  if (address !== undefined) return address;
  throw new MeshError(
    "invalid_argument",
    `Cannot parse IP address: got ${JSON.stringify(text.slice(0, 64))}`,
  );
}

/** The same for callers that have a better message; undefined for anything but an address. */
export function addressFromText(text: string): Address | undefined {
  const ipv4 = new Uint8Array(4);
  // Leading zeros are refused, so a dotted quad is its own canonical text.
  if (readIpv4(text, { start: 0, bytes: ipv4, at: 0 })) return { family: 4, bytes: ipv4, text };
  const ipv6 = readIpv6(text);
  return ipv6 && { family: 6, bytes: ipv6, text: formatIpv6(ipv6) };
}

/** Throws `invalid_argument`; a set host bit is an error, because it usually is a typing mistake. */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf("/");
  const lengthText = text.slice(slash + 1);
  if (slash < 0 || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse prefix: want ADDRESS/LENGTH, got ${JSON.stringify(text.slice(0, 64))}`,
    );
  }
  const address = parseAddress(text.slice(0, slash));
  const length = Number(lengthText);
  const bits = address.bytes.length * 8;
  if (length > bits) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse prefix "${text}": the length of an IPv${address.family} prefix is at most ${bits}`,
    );
  }
  const prefix = prefixFromAddress(address, length);
  if (!equalBits(prefix.bytes, address.bytes, bits)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse prefix "${text}": bits are set behind the length, want "${prefix.text}"`,
    );
  }
  return prefix;
}

/** The prefix of `length` bits that holds `address`. */
export function prefixFromAddress(address: Address, length: number): Prefix {
  const bytes = maskBytes(address.bytes, length);
  return {
    family: address.family,
    bytes,
    length,
    text: `${addressFromBytes(bytes).text}/${length}`,
  };
}

/** `bytes` is 4 or 16 long, in network order; it is kept, not copied. */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length === 4) return { family: 4, bytes, text: bytes.join(".") };
  if (bytes.length === 16) return { family: 6, bytes, text: formatIpv6(bytes) };
  throw new MeshError(
    "invalid_argument",
    `Cannot read IP address: want 4 or 16 bytes, got ${bytes.length}`,
  );
}

export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (prefix.family !== address.family) return false;
  return equalBits(prefix.bytes, address.bytes, prefix.length);
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  if (a.family !== b.family) return false;
  return equalBits(a.bytes, b.bytes, Math.min(a.length, b.length));
}

/** The nth address of a prefix, counted from 0; throws `invalid_argument` beyond its end. */
export function addressInPrefix(prefix: Prefix, index: bigint): Address {
  const bits = BigInt(prefix.bytes.length * 8);
  if (index < 0n || index >= 1n << (bits - BigInt(prefix.length))) {
    throw new MeshError(
      "invalid_argument",
      `Cannot take address ${index} of ${prefix.text}: beyond its end`,
    );
  }
  let value = index;
  const bytes = Uint8Array.from(prefix.bytes);
  for (let i = bytes.length - 1; value > 0n; i--, value >>= 8n) {
    bytes[i] = (bytes[i] ?? 0) | Number(value & 0xffn);
  }
  return addressFromBytes(bytes);
}

/** Why no pod, node or service may have this address, or undefined if it is an ordinary one. */
export function reservedAddressReason(address: Address): string | undefined {
  const [a = 0, b = 0] = address.bytes;
  if (address.family === 4) {
    if (a === 0) return isZero(address.bytes, 4) ? "unspecified" : "this-network";
    if (a === 127) return "loopback";
    if (a === 169 && b === 254) return "link-local";
    if (a >= 224 && a < 240) return "multicast";
    if (a >= 240) return "reserved";
    return undefined;
  }
  if (a === 0xfe && (b & 0xc0) === 0x80) return "link-local";
  if (a === 0xff) return "multicast";
  if (a !== 0) return undefined;
  if (address.text === "::") return "unspecified";
  if (address.text === "::1") return "loopback";
  if (isMappedIpv4(address.bytes)) return "IPv4-mapped";
  return undefined;
}

const DOT = 0x2e;
const COLON = 0x3a;

/** Reads a dotted quad from `start` to the end of the text into `bytes`; false if it is not one. */
function readIpv4(text: string, into: { start: number; bytes: Uint8Array; at: number }): boolean {
  const { start, bytes, at } = into;
  if (text.length - start > 15) return false;
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = start; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || part === 4) return false;
      bytes[at + part++] = value;
      digits = value = 0;
    } else {
      const digit = code - 0x30;
      const leadingZero = digits > 0 && value === 0;
      if (digit < 0 || digit > 9 || leadingZero) return false;
      value = value * 10 + digit;
      digits++;
      if (value > 255) return false;
    }
  }
  return part === 4;
}

/** The 16 bytes of an IPv6 address, or undefined if the text is none. */
function readIpv6(text: string): Uint8Array | undefined {
  const { length } = text;
  if (length < 2 || length > 45) return undefined;
  const bytes = new Uint8Array(16);
  let filled = 0; // bytes
  let gap = -1; // where "::" stands, in bytes
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return undefined;
    gap = 0;
    i = 2;
  }
  while (i < length) {
    if (filled === 16) return undefined;
    let value = 0;
    const start = i;
    for (; i < length; i++) {
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0) break;
      value = (value << 4) | digit;
    }
    if (i < length && text.charCodeAt(i) === DOT) {
      if (filled > 12 || !readIpv4(text, { start, bytes, at: filled })) return undefined;
      filled += 4;
      i = length;
      break;
    }
    if (i === start || i - start > 4) return undefined;
    bytes[filled++] = value >> 8;
    bytes[filled++] = value & 0xff;
    if (i === length) break;
    if (text.charCodeAt(i++) !== COLON || i === length) return undefined;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return undefined;
      gap = filled;
      i++;
    }
  }
  if (gap < 0) return filled === 16 ? bytes : undefined;
  if (filled === 16) return undefined; // "::" stands for at least one group.
  bytes.copyWithin(16 - (filled - gap), gap, filled);
  bytes.fill(0, gap, 16 - (filled - gap));
  return bytes;
}

/** RFC 5952: lower case, no leading zeros, the longest (first) run of two or more zero groups cut. */
function formatIpv6(bytes: Uint8Array): string {
  if (isMappedIpv4(bytes)) return `::ffff:${bytes.subarray(12).join(".")}`;
  let cutStart = 16;
  let cutLength = 2;
  for (let start = 0; start < 16;) {
    let end = start;
    while (end < 16 && bytes[end] === 0 && bytes[end + 1] === 0) end += 2;
    if (end - start > cutLength) {
      cutStart = start;
      cutLength = end - start;
    }
    start = end + 2;
  }
  let text = "";
  for (let i = 0; i < 16; i += 2) {
    if (i === cutStart) {
      text += "::";
      i += cutLength - 2;
    } else {
      if (text !== "" && !text.endsWith(":")) text += ":";
      text += (((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16);
    }
  }
  return text;
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  return isZero(bytes, 10) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function isZero(bytes: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** -1 for what is no hexadecimal digit. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function maskBytes(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => {
    const keep = Math.min(8, Math.max(0, length - i * 8));
    return byte & (0xff << (8 - keep)) & 0xff;
  });
}

/** Whether the first `length` bits are the same. */
function equalBits(a: Uint8Array, b: Uint8Array, length: number): boolean {
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = length & 7;
  return rest === 0 || (((a[whole] ?? 0) ^ (b[whole] ?? 0)) & (0xff << (8 - rest))) === 0;
}
