// One direction of a profile: the traffic rules that hold there, by the peer sets that they name,
// and what all of them say in one plane. It is told of every plane whose meaning may have changed.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { PolicyDirection } from "../../mesh/core/policy.ts";
import { RESERVED_IDENTITY } from "../../mesh/core/identity.ts";
import type { CompiledTraffic, TrafficPeers } from "./compiled-rule.ts";
import { AGGREGATE, NO_RULE } from "./entry.ts";
import type { NamedPorts } from "./named-ports.ts";
import type { PeerSet, PeerSets, PeerSetUser } from "./peer-sets.ts";
import { canonicalPlane, LAST_ORDER, type Contribution, type PlaneEntry } from "./plane.ts";
import { EVERY_PORT, prefixesFromNamed, type NamedPort, type PortPrefix } from "./port-prefixes.ts";

/** What all sides of a node share. */
export interface SideContext {
  readonly traffic: TrafficPeers;
  readonly setsOf: PeerSets["setsOf"];
  readonly namedPorts: Pick<NamedPorts, "portsOf" | "holdersOf">;
  readonly aggregateOf: (identity: IdentityNumber) => IdentityNumber | undefined;
}

export interface SideOptions {
  readonly direction: PolicyDirection;
  /** Of the subject. */
  readonly namedPorts: readonly NamedPort[];
  readonly context: SideContext;
  readonly onTouch: (plane: IdentityNumber) => void;
}

/** What a traffic rule says to whoever is in one of its peer sets. */
interface Use {
  readonly traffic: CompiledTraffic;
  readonly ports: readonly PortPrefix[];
}

/** What is allowed without a rule. */
const UNRULED: Contribution = {
  verdict: "allow",
  rule: { number: NO_RULE, order: LAST_ORDER },
  ports: [EVERY_PORT],
};

export class Side implements PeerSetUser {
  readonly #options: SideOptions;
  /** Lists are replaced, never changed. */
  readonly #uses = new Map<PeerSet, readonly Use[]>();
  /** What a list of uses comes to where nothing else is said. */
  #canonical = new WeakMap<readonly Use[], readonly PlaneEntry[]>();
  /** Rules that name ports of their peers. */
  #namingRules = 0;
  #defaultDenies = 0;
  #peers = 0;

  constructor(options: SideOptions) {
    this.#options = options;
  }

  get isDefaultDeny(): boolean {
    return this.#defaultDenies > 0;
  }

  /** How many peers the rules name. */
  get peers(): number {
    return this.#peers;
  }

  /** Whether what names of ports mean at peers matters here. */
  get namesPeersPorts(): boolean {
    return this.#namingRules > 0;
  }

  touch(plane: IdentityNumber): void {
    this.#options.onTouch(plane);
  }

  /** Counts a rule that makes deny the default, or one less. */
  countDefaultDeny(by: 1 | -1): void {
    const before = this.isDefaultDeny;
    this.#defaultDenies += by;
    if (this.isDefaultDeny === before) return;
    this.#canonical = new WeakMap();
    for (const plane of this.planes()) this.touch(plane);
  }

  add(traffic: CompiledTraffic): void {
    const { context, namedPorts, direction } = this.#options;
    const own = direction === "ingress" ? prefixesFromNamed(traffic.named, namedPorts) : [];
    const use: Use = { traffic, ports: [...traffic.ports, ...own] };
    for (const set of context.traffic.acquire(traffic)) {
      this.#uses.set(set, [...(this.#uses.get(set) ?? []), use]);
      set.users.add(this);
    }
    this.#count(traffic, 1);
    this.#touchAll(traffic);
  }

  remove(traffic: CompiledTraffic): void {
    const { context } = this.#options;
    this.#touchAll(traffic);
    for (const set of context.traffic.setsOf(traffic)) {
      const left = this.#uses.get(set)?.filter((use) => use.traffic !== traffic) ?? [];
      if (left.length > 0) {
        this.#uses.set(set, left);
      } else {
        this.#uses.delete(set);
        set.users.delete(this);
      }
    }
    this.#count(traffic, -1);
    context.traffic.release(traffic);
  }

  /** Every plane in which something may be said; some of them more than once. */
  *planes(): Generator<IdentityNumber> {
    yield AGGREGATE.anybody;
    yield RESERVED_IDENTITY.host;
    for (const [set, uses] of this.#uses) {
      yield* set.planes;
      for (const { traffic } of uses) yield* this.#planesOfNames(traffic);
    }
  }

  /** What holds in a plane, made canonical. Most planes are in one peer set, as many others. */
  entries(plane: IdentityNumber): readonly PlaneEntry[] {
    const uses = this.#onlyUses(plane);
    const known = uses && this.#canonical.get(uses);
    if (known !== undefined) return known;
    const entries = canonicalPlane(this.contributions(plane));
    if (uses !== undefined) this.#canonical.set(uses, entries);
    return entries;
  }

  /** What is said in a plane, and holds. */
  contributions(plane: IdentityNumber): Contribution[] {
    const found = this.spoken(plane).filter(
      ({ verdict }) => verdict === "deny" || this.isDefaultDeny,
    );
    if (this.#isUnruled(plane)) found.push(UNRULED);
    return found;
  }

  /** What rules say in a plane, also those that allow what is allowed anyway. */
  spoken(plane: IdentityNumber): Contribution[] {
    const found: Contribution[] = [];
    for (const { traffic, ports } of this.#usesIn(plane)) {
      const { verdict, rule } = traffic;
      if (ports.length > 0) found.push({ verdict, rule, ports });
    }
    if (this.namesPeersPorts) found.push(...this.#spokenByName(plane));
    return found;
  }

  /** Entries that each traffic rule would need by itself. */
  *costs(): Generator<readonly [traffic: CompiledTraffic, entries: number]> {
    const uses = new Map([...this.#uses.values()].flat().map((use) => [use.traffic, use]));
    for (const [traffic, { ports }] of uses) {
      if (traffic.verdict === "allow" && !this.isDefaultDeny) continue;
      const planes = new Set<IdentityNumber>();
      for (const [set, users] of this.#uses) {
        if (users.some((use) => use.traffic === traffic))
          for (const at of set.planes) planes.add(at);
      }
      let entries = planes.size * ports.length;
      for (const plane of new Set(this.#planesOfNames(traffic))) {
        for (const { rule, ports: named } of this.#spokenByName(plane)) {
          if (rule === traffic.rule) entries += named.length;
        }
      }
      yield [traffic, entries];
    }
  }

  /** Names of ports of the peer mean each identity's own, also where an aggregate stands for it. */
  *#spokenByName(plane: IdentityNumber): Generator<Contribution> {
    const { context } = this.#options;
    const ports = context.namedPorts.portsOf(plane);
    if (ports.length === 0) return;
    const seen = new Set<CompiledTraffic>();
    for (const at of new Set([plane, context.aggregateOf(plane), AGGREGATE.anybody])) {
      if (at === undefined) continue;
      for (const { traffic } of this.#usesIn(at)) {
        if (traffic.named.length === 0 || seen.has(traffic)) continue;
        seen.add(traffic);
        const prefixes = prefixesFromNamed(traffic.named, ports);
        const { verdict, rule } = traffic;
        if (prefixes.length > 0) yield { verdict, rule, ports: prefixes };
      }
    }
  }

  *#usesIn(plane: IdentityNumber): Generator<Use> {
    for (const set of this.#options.context.setsOf(plane)) yield* this.#uses.get(set) ?? [];
  }

  /** What decides the plane alone, if that is so. */
  #onlyUses(plane: IdentityNumber): readonly Use[] | undefined {
    if (this.namesPeersPorts || this.#isUnruled(plane)) return undefined;
    let only: readonly Use[] | undefined;
    for (const set of this.#options.context.setsOf(plane)) {
      const uses = this.#uses.get(set);
      if (uses === undefined) continue;
      if (only !== undefined) return undefined;
      only = uses;
    }
    return only;
  }

  #isUnruled(plane: IdentityNumber): boolean {
    if (!this.isDefaultDeny) return plane === AGGREGATE.anybody;
    return plane === RESERVED_IDENTITY.host && this.#options.direction === "ingress";
  }

  #count(traffic: CompiledTraffic, by: 1 | -1): void {
    this.#peers += by * traffic.peers.length;
    const naming = this.#options.direction === "egress" && traffic.named.length > 0;
    if (naming) this.#namingRules += by;
  }

  #touchAll(traffic: CompiledTraffic): void {
    for (const set of this.#options.context.traffic.setsOf(traffic)) {
      for (const plane of set.planes) this.touch(plane);
    }
    for (const plane of this.#planesOfNames(traffic)) this.touch(plane);
  }

  *#planesOfNames({ named, direction }: CompiledTraffic): Generator<IdentityNumber> {
    if (direction === "ingress") return;
    for (const { name } of named) yield* this.#options.context.namedPorts.holdersOf(name);
  }
}
