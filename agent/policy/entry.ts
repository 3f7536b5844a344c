// An entry of an endpoint's policy map, in the engine's words: the numbers that planes have, which
// of them stand for many identities, and the canonical text of an entry's key. Pure.
//
// A packet is looked up in three planes: that of its peer's exact identity, that of the aggregate
// which the identity belongs to, and that of anybody (DESIGN.md, "Policy").
import { FIRST_ORDINARY_IDENTITY, RESERVED_IDENTITY } from "../../mesh/core/identity.ts";
import type { IdentityNumber, IdentityRange } from "../../mesh/core/identity.ts";
import type { PolicyDirection } from "../../mesh/core/policy.ts";

/** Planes that stand for many identities; no packet carries these numbers. */
export const AGGREGATE = {
  anybody: 0,
  /** Ordinary identities of the own cluster's range. */
  cluster: 11,
  /** Ordinary identities of every other range. */
  clustermesh: 12,
  /** `world`, `world-ipv4`, `world-ipv6`, and every number that this node gave to a CIDR. */
  world: 13,
} as const;

/** Node-local numbers, of CIDRs, begin here; identities of the mesh are below (24 bits). */
export const FIRST_CIDR_NUMBER: IdentityNumber = 1 << 24;
export const LAST_CIDR_NUMBER: IdentityNumber = (1 << 25) - 1;

/** "No rule": what is allowed by default, and the own host. */
export const NO_RULE = 0;

export interface PolicyEntry {
  /** A peer's exact identity, or one of `AGGREGATE`. */
  readonly identity: IdentityNumber;
  readonly direction: PolicyDirection;
  /** IP protocol; 0 is every protocol, and then port and prefix are 0 too. */
  readonly protocol: number;
  /** Host order; of ICMP the type. Bits behind the prefix are 0. */
  readonly port: number;
  /** 0 … 16: how many leading bits of the port must be the same. */
  readonly portPrefixBits: number;
  readonly verdict: "allow" | "deny";
  /** `PolicyEngine.ruleOf()` says what it stands for. */
  readonly rule: number;
}

/** `ingress 65601 6 80/16`: the same text for the same key, whatever the verdict. */
export function entryKey(entry: Omit<PolicyEntry, "verdict" | "rule">): string {
  const { direction, identity, protocol, port, portPrefixBits } = entry;
  return `${direction} ${identity} ${protocol} ${port}/${portPrefixBits}`;
}

export function isOrdinaryIdentity(identity: IdentityNumber): boolean {
  return identity >= FIRST_ORDINARY_IDENTITY && identity < FIRST_CIDR_NUMBER;
}

/**
 * The aggregate in whose plane an identity's packets are looked up besides its own; undefined for
 * the reserved identities that belong to none: unknown, host, unmanaged, health, init, remote-node,
 * kube-apiserver and ingress.
 */
export function aggregateOf(
  identity: IdentityNumber,
  ownRange: IdentityRange,
): IdentityNumber | undefined {
  if (identity >= FIRST_CIDR_NUMBER) return AGGREGATE.world;
  if (isOrdinaryIdentity(identity)) {
    const own = identity >= ownRange.first && identity <= ownRange.last;
    return own ? AGGREGATE.cluster : AGGREGATE.clustermesh;
  }
  const world: readonly IdentityNumber[] = [
    RESERVED_IDENTITY.world,
    RESERVED_IDENTITY["world-ipv4"],
    RESERVED_IDENTITY["world-ipv6"],
  ];
  return world.includes(identity) ? AGGREGATE.world : undefined;
}
