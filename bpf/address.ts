// Addresses and prefixes as the maps hold them (include/layout.h): 16 bytes, IPv4 mapped.
import { isIPv6 } from "node:net";
import {
  addressFromBytes,
  parseAddress,
  parsePrefix,
  type Address,
  type Prefix,
} from "../mesh/core/address.ts";
import type { IpcacheKey } from "./gen/layout.ts";

const MAPPED_BITS = 96;

export function mapAddressFromAddress({ bytes }: Pick<Address, "bytes">): Uint8Array {
  if (bytes.length === 16) return bytes;
  const mapped = new Uint8Array(16);
  mapped[10] = 0xff;
  mapped[11] = 0xff;
  mapped.set(bytes, 12);
  return mapped;
}

/**
 * What mapAddressFromAddress(parseAddress(text)) gives, several times as fast: maps are filled by
 * the hundred thousand, and nothing else of the address is wanted then. Writes into `into`.
 */
export function mapAddressFromText(text: string, into = new Uint8Array(16)): Uint8Array {
  if (decodeIpv4(text, { end: text.length, into })) return into;
  if (isIPv6(text) && !/[.%]/.test(text)) decodeIpv6(text, into);
  else into.set(mapAddressFromAddress(parseAddress(text)));
  return into;
}

/** Likewise, what ipcacheKeyFromPrefix(parsePrefix(text)) gives; the address is `into`. */
export function ipcacheKeyFromText(text: string, into = new Uint8Array(16)): IpcacheKey {
  // Only whole addresses, which most rows are, have no host bits to check.
  const whole4 = text.endsWith("/32");
  if (whole4 && decodeIpv4(text, { end: text.length - 3, into }))
    return { prefixLength: 128, address: into };
  if (text.endsWith("/128") && text.includes(":"))
    return { prefixLength: 128, address: mapAddressFromText(text.slice(0, -4), into) };
  return ipcacheKeyFromPrefix(parsePrefix(text));
}

export function addressFromMapAddress(bytes: Uint8Array): Address {
  return addressFromBytes(isMapped(bytes) ? bytes.slice(12) : bytes);
}

export function ipcacheKeyFromPrefix(prefix: Prefix): IpcacheKey {
  const offset = prefix.family === 4 ? MAPPED_BITS : 0;
  return { prefixLength: offset + prefix.length, address: mapAddressFromAddress(prefix) };
}

export function prefixFromIpcacheKey({ address, prefixLength }: IpcacheKey): Prefix {
  const { family, bytes, text } = addressFromMapAddress(address);
  const length = family === 4 ? prefixLength - MAPPED_BITS : prefixLength;
  return { family, bytes, length, text: `${text}/${length}` };
}

/** The value of a field that holds no address. */
export function isNoAddress(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function isMapped(bytes: Uint8Array): boolean {
  return (
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  );
}

const DOT = 0x2e;
const COLON = 0x3a;
const DIGIT_0 = 0x30;
const LETTER_A = 0x61;

/** Whether the text up to `end` is an IPv4 address; if it is not, `into` holds anything. */
function decodeIpv4(text: string, { end, into }: { end: number; into: Uint8Array }): boolean {
  let index = MAPPED_BITS / 8;
  let part = 0;
  let digits = 0;
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || index === 15) return false;
      into[index++] = part;
      part = 0;
      digits = 0;
      continue;
    }
    const digit = code - DIGIT_0;
    const leadingZero = digits > 0 && part === 0;
    if (digit < 0 || digit > 9 || leadingZero) return false;
    part = part * 10 + digit;
    if (part > 255) return false;
    digits++;
  }
  if (digits === 0 || index !== 15) return false;
  into[index] = part;
  for (let i = 0; i < 10; i++) into[i] = 0;
  into[10] = 0xff;
  into[11] = 0xff;
  return true;
}

/** `text` is known to be an IPv6 address without zone and dotted tail. */
function decodeIpv6(text: string, bytes: Uint8Array): void {
  bytes.fill(0);
  let index = 0;
  /** Where the zeros that "::" stands for begin. */
  let gap = -1;
  let group = 0;
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : COLON;
    if (code !== COLON) {
      // Lower case for letters, no change for digits.
      const letter = (code | 0x20) - LETTER_A;
      group = group * 16 + (letter >= 0 ? letter + 10 : code - DIGIT_0);
      digits++;
      continue;
    }
    if (digits > 0) {
      bytes[index++] = group >> 8;
      bytes[index++] = group;
    } else if (i > 0 && i < text.length) {
      gap = index;
    }
    group = 0;
    digits = 0;
  }
  if (gap >= 0) {
    bytes.copyWithin(16 - (index - gap), gap, index);
    bytes.fill(0, gap, 16 - (index - gap));
  }
}
