// Addresses and prefixes as the maps hold them (include/layout.h): 16 bytes, IPv4 mapped.
import { isIPv4, isIPv6 } from "node:net";
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
 * the hundred thousand, and nothing else of the address is wanted then.
 */
export function mapAddressFromText(text: string): Uint8Array {
  if (isIPv4(text)) return decodeIpv4(text);
  if (isIPv6(text) && !/[.%]/.test(text)) return decodeIpv6(text);
  return mapAddressFromAddress(parseAddress(text));
}

/** Likewise, what ipcacheKeyFromPrefix(parsePrefix(text)) gives. */
export function ipcacheKeyFromText(text: string): IpcacheKey {
  const slash = text.indexOf("/");
  const lengthText = text.slice(slash + 1);
  // Only whole addresses, which most rows are, have no host bits to check.
  const whole = text.includes(":") ? "128" : "32";
  if (slash < 0 || lengthText !== whole) return ipcacheKeyFromPrefix(parsePrefix(text));
  return { prefixLength: 128, address: mapAddressFromText(text.slice(0, slash)) };
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

/** `text` is known to be an IPv4 address. */
function decodeIpv4(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  let index = 12;
  let part = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      bytes[index++] = part;
      part = 0;
    } else {
      part = part * 10 + code - DIGIT_0;
    }
  }
  bytes[index] = part;
  return bytes;
}

/** `text` is known to be an IPv6 address without zone and dotted tail. */
function decodeIpv6(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
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
  return bytes;
}
