// What holds in one plane, of one identity and direction: all that rules say there → the entries
// that say the same in a trie where the longest prefix counts. Pure and deterministic.
//
// A deny beats every allow. Prefixes of ports lie in one another or apart, so an allow is either
// wholly covered by a deny, and left out, or a deny lies within it and is the longer prefix.
import { coveringKeys, portPrefixFromKey, portPrefixKey } from "./port-prefixes.ts";
import type { PortPrefix } from "./port-prefixes.ts";

/** What one rule says in the plane. */
export interface Contribution {
  readonly verdict: "allow" | "deny";
  readonly rule: RuleRef;
  readonly ports: readonly PortPrefix[];
}

export interface RuleRef {
  readonly number: number;
  /** Of rules that say the same, the first in this order is named. */
  readonly order: string;
}

export interface PlaneEntry extends PortPrefix {
  readonly verdict: "allow" | "deny";
  readonly rule: number;
}

/** Behind every rule in order: what holds without one is named only where no rule says the same. */
export const LAST_ORDER = "\u{10ffff}";

/**
 * One entry a prefix, in the prefixes' order. Narrower entries stay beside wider ones of the same
 * verdict: each packet finds the most specific rule that decides it.
 */
export function canonicalPlane(contributions: readonly Contribution[]): PlaneEntry[] {
  const allows = firstByPrefix(contributions, "allow");
  const denies = firstByPrefix(contributions, "deny");
  const entries: (readonly [key: number, entry: PlaneEntry])[] = [];
  for (const [key, { number }] of denies) {
    entries.push([key, { ...portPrefixFromKey(key), verdict: "deny", rule: number }]);
  }
  for (const [key, { number }] of allows) {
    const prefix = portPrefixFromKey(key);
    if (denies.size > 0 && isCovered(prefix, denies)) continue;
    entries.push([key, { ...prefix, verdict: "allow", rule: number }]);
  }
  if (entries.length > 1) entries.sort(([a], [b]) => a - b);
  return entries.map(([, entry]) => entry);
}

function firstByPrefix(
  contributions: readonly Contribution[],
  verdict: "allow" | "deny",
): Map<number, RuleRef> {
  const rules = new Map<number, RuleRef>();
  for (const contribution of contributions) {
    if (contribution.verdict !== verdict) continue;
    const { rule } = contribution;
    for (const prefix of contribution.ports) {
      const key = portPrefixKey(prefix);
      const known = rules.get(key);
      if (known === undefined || rule.order < known.order) rules.set(key, rule);
    }
  }
  return rules;
}

function isCovered(prefix: PortPrefix, denies: ReadonlyMap<number, RuleRef>): boolean {
  for (const key of coveringKeys(prefix)) if (denies.has(key)) return true;
  return false;
}
