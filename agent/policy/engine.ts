// What holds for each pod of this node: policies + identities + pods → entries of policy maps and
// rows of CIDRs, kept as inputs change. Pure: no I/O, no clock. README.md of agent/ has the picture.
import type { IdentityNumber, IdentityRange } from "../../mesh/core/identity.ts";
import type { Policy, PolicyDirection } from "../../mesh/core/policy.ts";
import type { PolicyEntry } from "./entry.ts";

/** A port that a container has given a name. */
export interface NamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

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
}

export interface PolicyEngine {
  /** By `policyKey()`; undefined takes it back. */
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
  /** Why: all rules that speak about a packet, and what becomes of it. For unknown endpoints undefined. */
  explain(question: PolicyQuestion): PolicyAnswer | undefined;
  /** How many entries each policy needs at an endpoint by itself; by policy key. */
  costOf(key: string): ReadonlyMap<string, number>;
}

export interface RuleName {
  /** `policyKey()` of the object. */
  readonly policy: string;
  /** `TrafficRule.path`. */
  readonly path: string;
}

/**
 * To be applied in this order, which leaves nothing open and nothing closed in between: endpoints,
 * then rows that are put, in their order, then rows that are deleted, in theirs. A number whose row
 * is deleted keeps its entries until the `take()` after that.
 */
export interface PolicyChanges {
  /** By endpoint key. Endpoints that the caller took back are not named. */
  readonly endpoints: ReadonlyMap<string, EndpointChange>;
  readonly rows: { readonly put: readonly CidrRow[]; readonly deleted: readonly CidrRow[] };
  /** Call `take()` again once these are applied: there will be more, without any other change. */
  readonly unfinished: boolean;
}

export type EndpointChange =
  /** All of its entries, in place of whatever it had: a new endpoint, or one that was closed. */
  | { readonly kind: "whole"; readonly entries: ReadonlyMap<string, PolicyEntry> }
  /** Keys that are in `put` are new or have another verdict or rule; `deleted` as they were. */
  | {
      readonly kind: "changed";
      readonly put: readonly PolicyEntry[];
      readonly deleted: readonly PolicyEntry[];
    }
  /** Nothing may pass. */
  | { readonly kind: "closed"; readonly reason: ClosedReason };

export type ClosedReason =
  /** The labels of its own identity are not known (yet). */
  | "unknown-identity"
  /** More entries than `MAX_ENTRIES`. */
  | "too-many-entries"
  /** Its rules name more peers than `MAX_PEERS`. */
  | "too-many-peers";

export interface CidrRow {
  /** Canonical `address/length`. */
  readonly prefix: string;
  readonly identity: IdentityNumber;
}

export interface EndpointState {
  readonly identity: IdentityNumber;
  readonly defaultDeny: Readonly<Record<PolicyDirection, boolean>>;
  readonly closed: ClosedReason | undefined;
  readonly entries: number;
  /** Keys of the policies that are about it, sorted. */
  readonly policies: readonly string[];
}

export interface PolicyQuestion {
  /** The endpoint whose policy is asked. */
  readonly endpoint: string;
  readonly direction: PolicyDirection;
  /** Whoever is at the other end. */
  readonly identity: IdentityNumber;
  /** IP protocol. */
  readonly protocol: number;
  /** The destination's; of ICMP the type; 0 for protocols that have none. */
  readonly port: number;
}

export interface PolicyAnswer {
  readonly verdict: "allow" | "deny";
  /** What decides: a rule, the default of a direction, the own host's right, or a closed endpoint. */
  readonly because: "rule" | "default-allow" | "default-deny" | "host" | ClosedReason;
  /** Whatever speaks about the packet, what decides first: denies before allows, exact first. */
  readonly rules: readonly SpeakingRule[];
}

export interface SpeakingRule extends RuleName {
  readonly number: number;
  readonly verdict: "allow" | "deny";
  /** The plane in which it says so, and for which protocol and ports. */
  readonly identity: IdentityNumber;
  readonly protocol: number;
  readonly port: number;
  readonly portPrefixBits: number;
}
