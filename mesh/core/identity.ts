// Security identities: the number space (reference §2.1, §2.2) and the label set behind a number.
import type { ClusterId, MaxConnectedClusters } from "./cluster.ts";

/** 24 bits on the wire; the cluster id stands in the top 8 (255 clusters) or 9 (511) of them. */
export type IdentityNumber = number;

/** Identities that mean the same in every cluster (reference §2.2). */
export const RESERVED_IDENTITY = {
  unknown: 0,
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  "remote-node": 6,
  "kube-apiserver": 7,
  ingress: 8,
  "world-ipv4": 9,
  "world-ipv6": 10,
} as const;

/** Below this every number is reserved or well known and belongs to no cluster. */
export const FIRST_ORDINARY_IDENTITY = 256;
export const IDENTITY_BITS = 24;

export interface IdentityRange {
  readonly first: IdentityNumber;
  readonly last: IdentityNumber;
}

/** The numbers that the cluster's own apiserver allocates. */
export function identityRange(
  clusterId: ClusterId,
  maxConnectedClusters: MaxConnectedClusters,
): IdentityRange {
  const shift = identityClusterShift(maxConnectedClusters);
  return { first: clusterId << shift, last: ((clusterId + 1) << shift) - 1 };
}

/** The cluster whose range holds the number; 0 for reserved ones. */
export function clusterIdOfIdentity(
  identity: IdentityNumber,
  maxConnectedClusters: MaxConnectedClusters,
): ClusterId {
  return identity >> identityClusterShift(maxConnectedClusters);
}

/** Where in a number the cluster's id begins: how many bits a cluster has for its own. */
export function identityClusterShift(maxConnectedClusters: MaxConnectedClusters): number {
  return maxConnectedClusters === 255 ? 16 : 15;
}

/** The reserved name of a number ("world"), or undefined for an ordinary one. */
export function reservedIdentityName(identity: IdentityNumber): string | undefined {
  return Object.entries(RESERVED_IDENTITY).find(([, number]) => number === identity)?.[0];
}
