// What holds for each pod of this node: policies + identities + pods → entries of policy maps and
// rows of CIDRs, kept as inputs change. Pure: no I/O, no clock. README.md of agent/ has the picture.
import type { IdentityNumber, IdentityRange } from "../../mesh/core/identity.ts";
import type { Policy, PolicyDirection } from "../../mesh/core/policy.ts";
import { createCidrNumbers, type CidrRow, type RowChanges } from "./cidr-numbers.ts";
import { compilePolicy, createTrafficPeers } from "./compiled-rule.ts";
import { aggregateOf, type PolicyEntry } from "./entry.ts";
import { explainPacket, type PolicyAnswer, type PolicyPacket } from "./explain.ts";
import { createNamedPorts } from "./named-ports.ts";
import { createPeerSets } from "./peer-sets.ts";
import type { NamedPort } from "./port-prefixes.ts";
import { MAX_ENTRIES, MAX_PEERS } from "./profile.ts";
import type { ClosedReason, Profile, ProfileChange, ProfileLimits } from "./profile.ts";
import { createProfiles } from "./profiles.ts";
import { createRuleNumbers, type RuleName } from "./rule-numbers.ts";
import { createStaging } from "./staging.ts";

export type { CidrRow } from "./cidr-numbers.ts";
export type { PolicyEntry } from "./entry.ts";
export type { PolicyAnswer, SpeakingRule } from "./explain.ts";
export type { NamedPort } from "./port-prefixes.ts";
export type { ClosedReason } from "./profile.ts";
export type { RuleName } from "./rule-numbers.ts";

export interface PolicyEngineOptions {
  /** The name decides which selectors mean the whole own cluster, the range what is its own. */
  readonly ownCluster: { readonly name: string; readonly identities: IdentityRange };
  /**
   * Prefix → number of the CIDR rows that an earlier agent left in the kernel. A prefix keeps its
   * number, so that no packet is judged by another prefix's rules while maps are written again.
   */
  readonly adoptedRows?: Iterable<readonly [prefix: string, number: IdentityNumber]>;
  /** Where rule numbers begin (1): beyond those of an earlier agent, whose maps are in use still. */
  readonly firstRuleNumber?: number;
  /** What an endpoint may cost before it is closed; the datapath's maps if left out. */
  readonly limits?: ProfileLimits;
}

export interface PolicyEngine {
  /** By `policyKey()`; undefined takes it back. Throws, and changes nothing, for a bad prefix. */
  setPolicy(key: string, policy: Policy | undefined): void;
  /** Labels as texts, "source:key=value"; undefined takes it back. */
  setIdentity(number: IdentityNumber, labels: readonly string[] | undefined): void;
  /**
   * Named ports of one pod address of any cluster, by which egress rules with a port's name are
   * resolved. Pods of one identity cannot be told apart: a name means the ports of all of them.
   */
  setNamedPorts(
    owner: string,
    ports: { readonly identity: IdentityNumber; readonly ports: readonly NamedPort[] } | undefined,
  ): void;
  /** A pod of this node, by a key of the caller's; undefined takes it back. */
  setEndpoint(
    key: string,
    endpoint:
      { readonly identity: IdentityNumber; readonly namedPorts: readonly NamedPort[] } | undefined,
  ): void;
  /** What has changed since the last call. The cost is proportional to the change. */
  take(): PolicyChanges;
  /** What holds for an endpoint, as of the last `take()`; by `entryKey()`. None while closed. */
  entriesOf(key: string): ReadonlyMap<string, PolicyEntry> | undefined;
  /** What is to be known of an endpoint, as of the last `take()`. */
  stateOf(key: string): EndpointState | undefined;
  /** All rows that are wanted, as of the last `take()`. */
  rows(): readonly CidrRow[];
  /** The number by which this node knows an address outside the mesh: a CIDR's, or 9 or 10. */
  numberOfAddress(address: string): IdentityNumber;
  /**
   * What a rule number stands for; [] for 0 and for numbers whose policy went long ago. A number
   * never comes to mean anything else while the engine lives.
   */
  ruleOf(number: number): readonly RuleName[];
  /** Why a packet passes or not, as of the last `take()`; undefined for endpoints not there. */
  explain(question: PolicyQuestion): PolicyAnswer | undefined;
  /** How many entries each policy needs at an endpoint by itself; by policy key. */
  costOf(key: string): ReadonlyMap<string, number>;
}

/**
 * To be applied in this order: endpoints, then rows that are put, in their order, then rows that
 * are deleted, in theirs. In between every packet is judged as before or as afterwards, because
 * what tells prefixes apart comes a `take()` after their rows, and goes one before their numbers.
 */
export interface PolicyChanges {
  /** By endpoint key. Endpoints that the caller took back are not named. */
  readonly endpoints: ReadonlyMap<string, EndpointChange>;
  readonly rows: RowChanges;
  /** Call `take()` again as soon as these are applied: there is more, without any other change. */
  readonly unfinished: boolean;
}

/**
 * whole: all of its entries, in place of whatever it had (a new endpoint, or one that was closed).
 * changed: keys in `put` are new or have another verdict or rule; `deleted` as they were.
 * closed: nothing may pass.
 */
export type EndpointChange = ProfileChange;

export interface EndpointState {
  readonly identity: IdentityNumber;
  readonly defaultDeny: Readonly<Record<PolicyDirection, boolean>>;
  readonly closed: ClosedReason | undefined;
  readonly entries: number;
  /** Keys of the policies that are about it, sorted. */
  readonly policies: readonly string[];
}

export interface PolicyQuestion extends PolicyPacket {
  /** The endpoint whose policy is asked. */
  readonly endpoint: string;
}

export function createPolicyEngine(options: PolicyEngineOptions): PolicyEngine {
  const { ownCluster, adoptedRows = [], firstRuleNumber = 1 } = options;
  const limits = options.limits ?? { entries: MAX_ENTRIES, peers: MAX_PEERS };
  const policies = new Map<string, Policy>();
  const dirty = new Set<Profile>();
  const rules = createRuleNumbers({ first: firstRuleNumber });
  const numbers = createCidrNumbers({
    adopted: adoptedRows,
    onChange: (numbered, what) => peers.follow(numbered, what),
  });
  const peers = createPeerSets({ ownCluster: ownCluster.name, numbers });
  const namedPorts = createNamedPorts({ onChange: (identity) => profiles.touchNames(identity) });
  const aggregate = (identity: IdentityNumber): IdentityNumber | undefined =>
    aggregateOf(identity, ownCluster.identities);
  const staging = createStaging();
  const profiles = createProfiles({
    numbers,
    stage: (step) => staging.add(step),
    context: {
      traffic: createTrafficPeers(peers),
      setsOf: (plane) => peers.setsOf(plane),
      namedPorts,
      aggregateOf: aggregate,
    },
    limits,
    onDirty: (profile) => dirty.add(profile),
  });

  function takeEndpoints(): Map<string, EndpointChange> {
    const changes = new Map<string, EndpointChange>();
    const fresh = profiles.takeFresh();
    // Endpoints of one profile share one map.
    const wholes = new Map<Profile, EndpointChange>();
    for (const profile of dirty) {
      // Nobody has it any more.
      if (profile.endpoints.size === 0) continue;
      const change = profile.refresh();
      if (change === undefined) continue;
      if (change.kind !== "changed") wholes.set(profile, change);
      for (const key of profile.endpoints) if (!fresh.has(key)) changes.set(key, change);
    }
    dirty.clear();
    for (const key of fresh) {
      const profile = profiles.of(key);
      if (profile === undefined) continue;
      const whole = wholes.get(profile) ?? profile.whole();
      wholes.set(profile, whole);
      changes.set(key, whole);
    }
    return changes;
  }

  return {
    setPolicy(key, policy) {
      const before = policies.get(key);
      if (JSON.stringify(before) === JSON.stringify(policy)) return;
      const compiled = policy === undefined ? [] : compilePolicy(key, { policy, numbers: rules });
      if (policy === undefined) policies.delete(key);
      else policies.set(key, policy);
      for (const { traffic } of profiles.setRules(key, compiled)) {
        for (const { rule } of traffic) rules.release(rule);
      }
    },
    setIdentity(number, labels) {
      if (!profiles.setIdentity(number, labels)) return;
      staging.add(() => peers.setIdentity(number, labels));
    },
    setNamedPorts: (owner, ports) => staging.add(() => namedPorts.set(owner, ports)),
    setEndpoint: (key, endpoint) => profiles.setEndpoint(key, endpoint),
    take() {
      numbers.retire();
      staging.run({ holdNew: numbers.isNew });
      const endpoints = takeEndpoints();
      return {
        endpoints,
        rows: numbers.takeRows(),
        unfinished: numbers.isResting || staging.isWaiting,
      };
    },
    entriesOf: (key) => profiles.of(key)?.entries(),
    stateOf(key) {
      const profile = profiles.of(key);
      if (profile === undefined) return undefined;
      const { ingress, egress } = profile.sides;
      return {
        identity: profile.identity,
        defaultDeny: { ingress: ingress.isDefaultDeny, egress: egress.isDefaultDeny },
        closed: profile.closed,
        entries: profile.size,
        policies: [...new Set([...profile.rules].map(({ policy }) => policy))].sort(),
      };
    },
    rows: () => numbers.rows(),
    numberOfAddress: (address) => numbers.numberOfAddress(address),
    ruleOf(number) {
      const name = rules.nameOf(number);
      return name === undefined ? [] : [name];
    },
    explain({ endpoint, ...packet }) {
      const profile = profiles.of(endpoint);
      if (profile === undefined) return undefined;
      const side = profile.sides[packet.direction];
      const { closed } = profile;
      return explainPacket(packet, {
        side,
        closed,
        aggregate: aggregate(packet.identity),
        nameOf: (number) => rules.nameOf(number),
      });
    },
    costOf: (key) => profiles.of(key)?.costs() ?? new Map(),
  };
}
