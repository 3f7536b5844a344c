// IP addresses and prefixes: parsing, canonical text, containment. IPv4 and IPv6 alike; nothing
// here knows what an address is used for, except for the kinds that no pod or node may have.
import { isIPv4, isIPv6 } from "node:net";
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
  if (isIPv4(text)) return addressFromBytes(Uint8Array.from(text.split("."), Number));
  if (isIPv6(text) && !text.includes("%")) return addressFromBytes(parseIpv6(text));
  throw new MeshError(
    "invalid_argument",
    `Cannot parse IP address: got ${JSON.stringify(text.slice(0, 64))}`,
  );
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
  if (!equalBytes(prefix.bytes, address.bytes)) {
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
  return equalBytes(maskBytes(address.bytes, prefix.length), prefix.bytes);
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  if (a.family !== b.family) return false;
  const length = Math.min(a.length, b.length);
  return equalBytes(maskBytes(a.bytes, length), maskBytes(b.bytes, length));
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
  if (address.bytes.every((byte) => byte === 0)) return "unspecified";
  if (address.family === 4) {
    if (a === 0) return "this-network";
    if (a === 127) return "loopback";
    if (a === 169 && b === 254) return "link-local";
    if (a >= 224 && a < 240) return "multicast";
    if (a >= 240) return "reserved";
    return undefined;
  }
  if (address.text === "::1") return "loopback";
  if (a === 0xfe && (b & 0xc0) === 0x80) return "link-local";
  if (a === 0xff) return "multicast";
  if (isMappedIpv4(address.bytes)) return "IPv4-mapped";
  return undefined;
}

function parseIpv6(text: string): Uint8Array {
  // A dotted tail ("::ffff:10.0.0.1") becomes two groups first.
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted) {
    const [, head = "", a, b, c, d] = dotted;
    const high = (Number(a) * 256 + Number(b)).toString(16);
    const low = (Number(c) * 256 + Number(d)).toString(16);
    return parseIpv6(`${head}${high}:${low}`);
  }
  const [left = "", right] = text.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const zeros = right === undefined ? 0 : 8 - head.length - tail.length;
  const all = [...head, ...Array.from({ length: zeros }, () => 0), ...tail];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** RFC 5952: lower case, no leading zeros, the longest (first) run of two or more zero groups cut. */
function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(":");
  if (isMappedIpv4(bytes)) return `::ffff:${bytes.subarray(12).join(".")}`;
  if (best.start < 0) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  return (
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  );
}

function maskBytes(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => {
    const keep = Math.min(8, Math.max(0, length - i * 8));
    return byte & (0xff << (8 - keep)) & 0xff;
  });
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
