// Finding pod prefixes of different clusters that overlap, among many thousands: one sort and one
// sweep. Two prefixes are nested or apart, never half and half, which is what makes it simple.
import { parsePrefix, prefixesOverlap, type Prefix } from "../core/address.ts";
import type { PrefixClaim } from "./cluster-facts.ts";

export interface PrefixConflict {
  /** The wider of the two (or the first, if they are equal). */
  readonly outer: PrefixClaim;
  readonly inner: PrefixClaim;
}

/** One conflict for each claim that lies in a prefix of another cluster. */
export function findPrefixConflicts(claims: readonly PrefixClaim[]): PrefixConflict[] {
  const sorted = uniqueClaims(claims)
    .map((claim) => ({ claim, prefix: parsePrefix(claim.prefix) }))
    .sort((a, b) => comparePrefixes(a.prefix, b.prefix));
  const conflicts: PrefixConflict[] = [];
  // The prefixes that enclose the current one, widest first.
  let enclosing: typeof sorted = [];
  for (const current of sorted) {
    enclosing = enclosing.filter(({ prefix }) => prefixesOverlap(prefix, current.prefix));
    const outer = enclosing.find(({ claim }) => claim.cluster !== current.claim.cluster);
    if (outer !== undefined) conflicts.push({ outer: outer.claim, inner: current.claim });
    enclosing.push(current);
  }
  return conflicts;
}

/** A cluster's prefix is seen twice when a peer mirrors it. */
function uniqueClaims(claims: readonly PrefixClaim[]): PrefixClaim[] {
  return [...new Map(claims.map((claim) => [`${claim.cluster} ${claim.prefix}`, claim])).values()];
}

/** By family, then first address, then wider ones first. */
function comparePrefixes(a: Prefix, b: Prefix): number {
  return a.family - b.family || Buffer.compare(a.bytes, b.bytes) || a.length - b.length;
}
