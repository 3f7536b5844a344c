// What holds for endpoints that have their identity and named ports in common: computed once for
// all of them, and again only in planes that were touched.
//
// An endpoint's map has room for so many entries; one that needs more is closed. Of such a profile
// only as many planes are kept as prove that it does: while these need too much, the others do not
// matter, so what cannot be applied anyway costs neither memory nor time.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { PolicyDirection } from "../../mesh/core/policy.ts";
import type { CompiledRule, CompiledTraffic } from "./compiled-rule.ts";
import { entryKey, type PolicyEntry } from "./entry.ts";
import type { PlaneEntry } from "./plane.ts";
import type { NamedPort } from "./port-prefixes.ts";
import { Side, type SideContext } from "./side.ts";

/** Room in the map of an endpoint, `POLICY_ENTRIES_MAX` of the datapath. */
export const MAX_ENTRIES = 16_384;
/**
 * Peers that the rules of one endpoint may name: if each of them met a single identity, they would
 * need all the room there is.
 */
export const MAX_PEERS = MAX_ENTRIES;

export interface ProfileLimits {
  readonly entries: number;
  readonly peers: number;
}

export type ClosedReason =
  /** The labels of its own identity are not known (yet). */
  | "unknown-identity"
  /** More entries than `MAX_ENTRIES`. */
  | "too-many-entries"
  /** Its rules name more peers than `MAX_PEERS`. */
  | "too-many-peers";

export type ProfileChange =
  | { readonly kind: "whole"; readonly entries: ReadonlyMap<string, PolicyEntry> }
  | {
      readonly kind: "changed";
      readonly put: readonly PolicyEntry[];
      readonly deleted: readonly PolicyEntry[];
    }
  | { readonly kind: "closed"; readonly reason: ClosedReason };

export interface ProfileOptions {
  readonly identity: IdentityNumber;
  readonly namedPorts: readonly NamedPort[];
  readonly context: SideContext;
  readonly limits: ProfileLimits;
  /** Something may be different from what the last `refresh()` said. */
  readonly onDirty: (profile: Profile) => void;
}

/** A plane of one direction, as a number. */
type PlaneKey = number;

interface Diff {
  readonly put: PolicyEntry[];
  readonly deleted: PolicyEntry[];
}

export class Profile {
  readonly identity: IdentityNumber;
  /** Keys of the endpoints that have it. */
  readonly endpoints = new Set<string>();
  readonly rules = new Set<CompiledRule>();
  readonly sides: Readonly<Record<PolicyDirection, Side>>;
  readonly #options: ProfileOptions;
  readonly #planes = new Map<PlaneKey, readonly PolicyEntry[]>();
  #touched = new Set<PlaneKey>();
  #entries = 0;
  #isKnown = false;
  /** Undefined before the first `refresh()`. */
  #state: "open" | ClosedReason | undefined;

  constructor(options: ProfileOptions) {
    this.#options = options;
    this.identity = options.identity;
    this.sides = { ingress: this.#createSide("ingress"), egress: this.#createSide("egress") };
    options.onDirty(this);
  }

  get closed(): ClosedReason | undefined {
    return this.#state === "open" ? undefined : this.#state;
  }

  /** How many entries there are; of a closed one, none. */
  get size(): number {
    return this.#state === "open" ? this.#entries : 0;
  }

  /** Whether the labels of the identity are known. */
  setKnown(isKnown: boolean): void {
    this.#isKnown = isKnown;
    this.#options.onDirty(this);
  }

  add(rule: CompiledRule): void {
    this.rules.add(rule);
    for (const traffic of rule.traffic) this.sides[traffic.direction].add(traffic);
    this.#count(rule, 1);
  }

  remove(rule: CompiledRule): void {
    if (!this.rules.delete(rule)) return;
    for (const traffic of rule.traffic) this.sides[traffic.direction].remove(traffic);
    this.#count(rule, -1);
  }

  /** How many entries each policy would need by itself. */
  costs(): Map<string, number> {
    const policies = new Map<CompiledTraffic, string>();
    for (const { policy, traffic } of this.rules)
      for (const each of traffic) policies.set(each, policy);
    const costs = new Map<string, number>();
    for (const side of Object.values(this.sides)) {
      for (const [traffic, entries] of side.costs()) {
        const policy = policies.get(traffic) ?? "";
        costs.set(policy, (costs.get(policy) ?? 0) + entries);
      }
    }
    return costs;
  }

  /** Gives back everything: nobody has it any more. */
  clear(): void {
    for (const rule of this.rules) this.remove(rule);
  }

  entries(): ReadonlyMap<string, PolicyEntry> {
    const entries = new Map<string, PolicyEntry>();
    if (this.#state !== "open") return entries;
    for (const plane of this.#planes.values()) {
      for (const entry of plane) entries.set(entryKey(entry), entry);
    }
    return entries;
  }

  /** What it is for an endpoint that had nothing of it, as of the last `refresh()`. */
  whole(): ProfileChange {
    const reason = this.closed;
    if (reason !== undefined) return { kind: "closed", reason };
    return { kind: "whole", entries: this.entries() };
  }

  /** Brings everything up to date; what that means for endpoints that had what was before. */
  refresh(): ProfileChange | undefined {
    const touched = this.#touched;
    this.#touched = new Set();
    const reason = this.#reasonToClose();
    if (reason !== undefined) {
      this.#planes.clear();
      this.#entries = 0;
      return this.#enter(reason);
    }
    const isTooLarge = this.#state === "too-many-entries";
    if (this.#state !== "open" && !isTooLarge) return this.#rebuild();
    const diff: Diff = { put: [], deleted: [] };
    for (const key of touched) {
      if (isTooLarge && !this.#planes.has(key)) continue;
      this.#update(key, diff);
      if (!isTooLarge && this.#isOver) return this.#rebuild();
    }
    if (isTooLarge) return this.#isOver ? undefined : this.#rebuild();
    return diff.put.length + diff.deleted.length === 0 ? undefined : { kind: "changed", ...diff };
  }

  get #isOver(): boolean {
    return this.#entries > this.#options.limits.entries;
  }

  #createSide(direction: PolicyDirection): Side {
    const { namedPorts, context } = this.#options;
    const onTouch = (plane: IdentityNumber): void => {
      this.#touched.add(planeKey(plane, direction));
      this.#options.onDirty(this);
    };
    return new Side({ direction, namedPorts, context, onTouch });
  }

  #count({ defaultDeny }: CompiledRule, by: 1 | -1): void {
    // Also where no plane is touched: how many peers are named counts.
    this.#options.onDirty(this);
    if (defaultDeny.ingress) this.sides.ingress.countDefaultDeny(by);
    if (defaultDeny.egress) this.sides.egress.countDefaultDeny(by);
  }

  #reasonToClose(): ClosedReason | undefined {
    if (!this.#isKnown) return "unknown-identity";
    const peers = this.sides.ingress.peers + this.sides.egress.peers;
    return peers > this.#options.limits.peers ? "too-many-peers" : undefined;
  }

  /** From nothing, until all is there or it is too much: entries only become more on the way. */
  #rebuild(): ProfileChange | undefined {
    this.#planes.clear();
    this.#entries = 0;
    for (const direction of ["ingress", "egress"] as const) {
      const seen = new Set<IdentityNumber>();
      for (const plane of this.sides[direction].planes()) {
        if (seen.has(plane)) continue;
        seen.add(plane);
        this.#update(planeKey(plane, direction));
        if (this.#isOver) return this.#enter("too-many-entries");
      }
    }
    return this.#enter("open");
  }

  #enter(state: "open" | ClosedReason): ProfileChange | undefined {
    const before = this.#state;
    this.#state = state;
    return state === "open" || state !== before ? this.whole() : undefined;
  }

  /** Makes one plane canonical again. */
  #update(key: PlaneKey, diff?: Diff): void {
    const identity = key >> 1;
    const direction = (key & 1) === 0 ? "ingress" : "egress";
    const before = this.#planes.get(key) ?? [];
    const now = this.sides[direction]
      .entries(identity)
      .map((found) => policyEntry({ identity, direction }, found));
    if (now.length > 0) this.#planes.set(key, now);
    else this.#planes.delete(key);
    this.#entries += now.length - before.length;
    if (diff !== undefined) compare({ before, now, diff });
  }
}

function planeKey(plane: IdentityNumber, direction: PolicyDirection): PlaneKey {
  return plane * 2 + (direction === "ingress" ? 0 : 1);
}

function policyEntry(
  plane: Pick<PolicyEntry, "identity" | "direction">,
  { protocol, port, bits, verdict, rule }: PlaneEntry,
): PolicyEntry {
  const { identity, direction } = plane;
  return { identity, direction, protocol, port, portPrefixBits: bits, verdict, rule };
}

function compare(plane: {
  readonly before: readonly PolicyEntry[];
  readonly now: readonly PolicyEntry[];
  readonly diff: Diff;
}): void {
  const { before, now, diff } = plane;
  const left = new Map(before.map((entry) => [entryKey(entry), entry]));
  for (const entry of now) {
    const key = entryKey(entry);
    const known = left.get(key);
    left.delete(key);
    if (known?.verdict !== entry.verdict || known.rule !== entry.rule) diff.put.push(entry);
  }
  diff.deleted.push(...left.values());
}
