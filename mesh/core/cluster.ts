// What a cluster is called and which numbers belong to it: names, ids, and the width of the
// cluster field in a security identity (reference §2.1).
import { MeshError } from "./errors.ts";

/** 1 … 255, or 1 … 511 in a mesh of that width. 0 would mean "not in a mesh". */
export type ClusterId = number;

/** How many clusters the mesh can hold; it fixes the width of the id and cannot change later. */
export type MaxConnectedClusters = 255 | 511;

export interface ClusterIdentity {
  readonly name: string;
  readonly id: ClusterId;
  readonly maxConnectedClusters: MaxConnectedClusters;
}

/** The longest name that fits beside its prefix in etcd user names and certificate CNs. */
export const CLUSTER_NAME_MAX_LENGTH = 32;
const CLUSTER_NAME = /^([a-z0-9][-a-z0-9]*)?[a-z0-9]$/;

/** Returns the name or throws `invalid_argument`. */
export function parseClusterName(value: unknown): string {
  if (
    typeof value !== "string" ||
    value.length > CLUSTER_NAME_MAX_LENGTH ||
    !CLUSTER_NAME.test(value)
  ) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use ${quote(value)} as cluster name: want at most ${CLUSTER_NAME_MAX_LENGTH} lower-case letters, digits and inner dashes`,
    );
  }
  if (value === "default") {
    throw new MeshError(
      "invalid_argument",
      'Cannot use "default" as cluster name: it is what clusters outside a mesh are called',
    );
  }
  return value;
}

/** Returns the id or throws `invalid_argument`. */
export function parseClusterId(
  value: unknown,
  maxConnectedClusters: MaxConnectedClusters = 255,
): ClusterId {
  if (
    typeof value !== "number" ||
    !Number.isInteger(value) ||
    value < 1 ||
    value > maxConnectedClusters
  ) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use ${quote(value)} as cluster id: want a whole number from 1 to ${maxConnectedClusters}`,
    );
  }
  return value;
}

/** Returns 255 or 511 or throws `invalid_argument`. */
export function parseMaxConnectedClusters(value: unknown): MaxConnectedClusters {
  if (value !== 255 && value !== 511) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use ${quote(value)} as maxConnectedClusters: want 255 or 511`,
    );
  }
  return value;
}

function quote(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 80);
}
