// Who is meant by each selector in use: its members are kept once, whoever uses it. A new selector
// is tried against the identities of its rarest label, a new identity against the selectors that
// are kept under one of its labels. So neither costs the other's number.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import {
  labelsFromTexts,
  selectorMatches,
  type Labels,
  type LabelSelector,
  type Requirement,
} from "../../mesh/core/selector.ts";
import { createLabelIndex, withAnySource } from "./label-index.ts";

export interface CachedSelector {
  readonly selector: LabelSelector;
  /** The same for the same conditions. */
  readonly key: string;
  readonly members: ReadonlySet<IdentityNumber>;
}

export interface SelectorCache {
  /** The members are right at once. To be given back by `release()` as often as it was acquired. */
  acquire(selector: LabelSelector): CachedSelector;
  release(selector: CachedSelector): void;
  /** Replaces an identity's labels; undefined takes it out. */
  setIdentity(identity: IdentityNumber, labels: readonly string[] | undefined): void;
  has(identity: IdentityNumber): boolean;
  /** All selectors in use that mean the identity. */
  selectorsOf(identity: IdentityNumber): Iterable<CachedSelector>;
  /** How many selectors are in use. */
  readonly size: number;
}

export interface SelectorCacheOptions {
  /** An identity has become a member, or has ceased to be one. Not for selectors just acquired. */
  readonly onChange: (selector: CachedSelector, identity: IdentityNumber) => void;
}

interface Kept extends CachedSelector {
  readonly members: Set<IdentityNumber>;
  uses: number;
  /** The labels under which it is found; undefined: it is tried for everybody. */
  readonly anchors: readonly string[] | undefined;
}

export function createSelectorCache(options: SelectorCacheOptions): SelectorCache {
  const index = createLabelIndex();
  const selectors = new Map<string, Kept>();
  const byAnchor = new Map<string, Set<Kept>>();
  const unanchored = new Set<Kept>();
  const selectorsByIdentity = new Map<IdentityNumber, Set<Kept>>();

  /** Of the conditions that name a label the one that fewest identities, then selectors, share. */
  function rarest(selector: LabelSelector): Requirement | undefined {
    const rated = selector.flatMap((requirement) => {
      const holders = index.holders(requirement);
      if (holders === undefined) return [];
      const identities = holders.reduce((sum, { size }) => sum + size, 0);
      const neighbours = anchorsOf(requirement).map((anchor) => byAnchor.get(anchor)?.size ?? 0);
      return [{ requirement, identities, neighbours: Math.max(0, ...neighbours) }];
    });
    rated.sort((a, b) => a.identities - b.identities || a.neighbours - b.neighbours);
    return rated[0]?.requirement;
  }

  function candidates(requirement: Requirement | undefined): Iterable<IdentityNumber> {
    const holders = requirement && index.holders(requirement);
    if (holders === undefined) return index.identities();
    return holders.length === 1 && holders[0] !== undefined
      ? holders[0]
      : new Set(holders.flatMap((holder) => [...holder]));
  }

  function membersOf(
    selector: LabelSelector,
    requirement: Requirement | undefined,
  ): Set<IdentityNumber> {
    // The condition that found them holds for all of them.
    const rest = selector.filter((other) => other !== requirement);
    if (rest.length === 0) return new Set(candidates(requirement));
    const members = new Set<IdentityNumber>();
    for (const identity of candidates(requirement)) {
      const labels = index.labelsOf(identity);
      if (labels !== undefined && selectorMatches(rest, labels)) members.add(identity);
    }
    return members;
  }

  function join(kept: Kept, identity: IdentityNumber): void {
    kept.members.add(identity);
    const known = selectorsByIdentity.get(identity);
    if (known === undefined) selectorsByIdentity.set(identity, new Set([kept]));
    else known.add(kept);
  }

  function leave(kept: Kept, identity: IdentityNumber): void {
    kept.members.delete(identity);
    const known = selectorsByIdentity.get(identity);
    known?.delete(kept);
    if (known?.size === 0) selectorsByIdentity.delete(identity);
  }

  function matching(labels: Labels): Set<Kept> {
    const tried = new Set<Kept>(unanchored);
    for (const anchor of anchorsOfLabels(labels)) {
      for (const kept of byAnchor.get(anchor) ?? []) tried.add(kept);
    }
    for (const kept of tried) if (!selectorMatches(kept.selector, labels)) tried.delete(kept);
    return tried;
  }

  function add(selector: LabelSelector, key: string): Kept {
    const requirement = rarest(selector);
    const anchors = requirement && anchorsOf(requirement);
    const members = membersOf(selector, requirement);
    const kept: Kept = { selector, key, members, uses: 0, anchors };
    selectors.set(key, kept);
    for (const identity of members) join(kept, identity);
    if (anchors === undefined) unanchored.add(kept);
    for (const anchor of anchors ?? []) {
      const found = byAnchor.get(anchor);
      if (found === undefined) byAnchor.set(anchor, new Set([kept]));
      else found.add(kept);
    }
    return kept;
  }

  function remove(kept: Kept): void {
    selectors.delete(kept.key);
    for (const identity of kept.members) leave(kept, identity);
    unanchored.delete(kept);
    for (const anchor of kept.anchors ?? []) {
      const found = byAnchor.get(anchor);
      found?.delete(kept);
      if (found?.size === 0) byAnchor.delete(anchor);
    }
  }

  return {
    acquire(selector) {
      const key = selectorKey(selector);
      const kept = selectors.get(key) ?? add(selector, key);
      kept.uses++;
      return kept;
    },
    release({ key }) {
      const kept = selectors.get(key);
      if (kept !== undefined && --kept.uses === 0) remove(kept);
    },
    setIdentity(identity, texts) {
      const labels = texts && labelsFromTexts(texts);
      index.set(identity, labels);
      const before = new Set(selectorsByIdentity.get(identity));
      const now = labels === undefined ? new Set<Kept>() : matching(labels);
      for (const kept of now) if (!before.has(kept)) join(kept, identity);
      for (const kept of before) if (!now.has(kept)) leave(kept, identity);
      for (const kept of now.symmetricDifference(before)) options.onChange(kept, identity);
    },
    has: (identity) => index.has(identity),
    selectorsOf: (identity) => selectorsByIdentity.get(identity) ?? [],
    get size() {
      return selectors.size;
    },
  };
}

/** `selectorText()` is for people: what a value contains must not make two selectors one. */
export function selectorKey(selector: LabelSelector): string {
  return JSON.stringify(selector.map(({ key, operator, values }) => [key, operator, ...values]));
}

function anchorsOf({ key, operator, values }: Requirement): string[] {
  return operator === "Exists" ? [key] : values.map((value) => `${key}=${value}`);
}

/** Everything under which a selector may be kept that a label makes true. */
function* anchorsOfLabels(labels: Labels): Generator<string> {
  for (const [key, value] of labels) {
    const anySource = withAnySource(key);
    yield key;
    yield anySource;
    yield `${key}=${value}`;
    yield `${anySource}=${value}`;
  }
}
