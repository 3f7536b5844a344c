// Addresses and prefixes as the maps hold them (include/layout.h): 16 bytes, IPv4 mapped.
import { addressFromBytes, type Address, type Prefix } from "../mesh/core/address.ts";
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
