// Prefixes as Go's JSON writes them: an address and a base64 mask. Not a record of its own.
import {
  addressFromText,
  parsePrefix,
  prefixFromAddress,
  reservedAddressReason,
  type Prefix,
} from "../../core/address.ts";
import type { RecordFields } from "./record-fields.ts";

/** A prefix shorter than this would claim a large part of all addresses for one node or pod. */
export const PREFIX_MIN_LENGTH = { 4: 8, 6: 16 } as const;

/** Go's `net.IPNet`. */
export interface IpNet {
  readonly IP: string;
  readonly Mask: string;
}

export function ipNetFromPrefix(text: string): IpNet {
  const prefix = parsePrefix(text);
  const slash = prefix.text.indexOf("/");
  return { IP: prefix.text.slice(0, slash), Mask: encodeMask(prefix) };
}

/** Base64 of the mask's 4 or 16 bytes: what Go's JSON makes of `net.IPMask`. */
export function encodeMask(prefix: { readonly family: 4 | 6; readonly length: number }): string {
  const bytes = Buffer.alloc(prefix.family === 4 ? 4 : 16);
  for (let bit = 0; bit < prefix.length; bit++) {
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  return bytes.toString("base64");
}

/** Reads an `IP` and a `Mask` field; the address must be the first of the prefix. */
export function prefixFromFields(fields: RecordFields): Prefix {
  const ip = fields.text("IP", { maxLength: 45, want: "an IP address" });
  const mask = fields.text("Mask", { maxLength: 24, want: "a base64 mask" });
  const length = maskLength(mask, ip.includes(":") ? 16 : 4);
  if (length === undefined) {
    throw fields.refuse("Mask", {
      got: mask,
      want: "base64 of an unbroken mask as long as the address",
    });
  }
  return checkedPrefix(fields, { field: "IP", ip, length });
}

/** A pod prefix: Go's object, or the text `address/length` that newer writers may use. */
export function prefixFromField(fields: RecordFields, field: string): Prefix {
  const text = fields.optionalText(field);
  if (text === undefined) return prefixFromFields(fields.object(field));
  const [, ip = "", length = ""] = /^([^/]*)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  return checkedPrefix(fields, { field, ip, length: length === "" ? -1 : Number(length) });
}

function checkedPrefix(
  fields: RecordFields,
  source: { field: string; ip: string; length: number },
): Prefix {
  const { field, ip, length } = source;
  const refuse = (want: string): Error => fields.refuse(field, { got: `${ip}/${length}`, want });
  const address = addressFromText(ip);
  if (address === undefined) throw refuse("an IP prefix");
  const bits = address.family === 4 ? 32 : 128;
  if (length < PREFIX_MIN_LENGTH[address.family] || length > bits) {
    throw refuse(`a length from ${PREFIX_MIN_LENGTH[address.family]} to ${bits}`);
  }
  const reserved = reservedAddressReason(address);
  if (reserved !== undefined) throw refuse(`an ordinary prefix, not ${reserved}`);
  const prefix = prefixFromAddress(address, length);
  if (prefix.text !== `${address.text}/${length}`) throw refuse(prefix.text);
  return prefix;
}

/** The number of leading ones; undefined for a mask of another size or with a hole. */
function maskLength(mask: string, size: 4 | 16): number | undefined {
  const bytes = Buffer.from(mask, "base64");
  if (bytes.length !== size || bytes.toString("base64") !== mask) return undefined;
  let length = 0;
  while (length < size * 8 && ((bytes[length >> 3] ?? 0) & (0x80 >> (length & 7))) !== 0) length++;
  return encodeMask({ family: size === 4 ? 4 : 6, length }) === mask ? length : undefined;
}
