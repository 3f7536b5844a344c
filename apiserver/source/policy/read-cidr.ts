// Address ranges of policies, made canonical: what people write may have host bits set, and a
// single address may stand for itself. Pure.
import { parseAddress, prefixesOverlap, prefixFromAddress } from "../../../mesh/core/address.ts";
import type { Prefix } from "../../../mesh/core/address.ts";
import type { PolicyPeer } from "../../../mesh/core/policy.ts";
import { MeshError } from "../../../mesh/core/errors.ts";
import type { Fields } from "../fields.ts";

/** Throws `invalid_argument`. */
export function parseCidr(text: string): Prefix {
  const [address = "", length, ...rest] = text.split("/");
  const parsed = parseAddress(address);
  const bits = parsed.bytes.length * 8;
  if (length === undefined) return prefixFromAddress(parsed, bits);
  if (rest.length === 0 && /^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= bits) {
    return prefixFromAddress(parsed, Number(length));
  }
  throw new MeshError("invalid_argument", `want ADDRESS/LENGTH, the length at most ${bits}`);
}

/** `cidr` and `except` of a map. */
export function cidrPeer(fields: Fields): PolicyPeer {
  const within = parsed(fields.parsed("cidr", parseCidr), fields);
  const except = fields.texts("except", (text) => {
    const prefix = parseCidr(text);
    if (prefix.length >= within.length && prefixesOverlap(prefix, within)) return prefix.text;
    throw new MeshError("invalid_argument", `want a part of ${within.text}, got ${prefix.text}`);
  });
  return { kind: "cidr", cidr: within.text, except };
}

function parsed(prefix: Prefix | undefined, fields: Fields): Prefix {
  if (prefix === undefined) throw fields.error("cidr", "it is missing");
  return prefix;
}
