// The datapath's one row a cluster: whether new connections may go there. Rows of the array are
// there from the start and mean "healthy"; an agent that starts leaves them as they are, so that
// a drain or a drill outlives it. Who decides about health is not here.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { ClusterDrill, ClusterHealth, type ClusterState } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";

export type ClusterStateMap = Pick<BpfMap<number, ClusterState>, "get" | "put">;

/** What the datapath makes of a cluster. */
export interface ClusterUsability {
  /** Some new connections may go there. */
  readonly usable: boolean;
  readonly health: "healthy" | "suspect" | "down";
  readonly drainedPercent: number;
  /** Until the drill ends by itself; 0 without one. */
  readonly drillSeconds: number;
}

const NEVER_WRITTEN: ClusterState = {
  drillExpiresNs: 0n,
  health: ClusterHealth.healthy,
  drainedPercent: 0,
  drill: ClusterDrill.none,
};

/** Changes the given fields of one cluster's row, in one write. */
export function setClusterState(
  map: ClusterStateMap,
  change: { readonly clusterId: ClusterId } & Partial<ClusterState>,
): void {
  const { clusterId, ...fields } = change;
  if (clusterId === 0) {
    throw new MeshError("invalid_argument", "Cannot set the state of cluster 0: there is none");
  }
  map.put(clusterId, { ...(map.get(clusterId) ?? NEVER_WRITTEN), ...fields });
}

/** `kernelNowNs` is CLOCK_MONOTONIC, the clock by which drills expire. */
export function readClusterUsability(
  map: Pick<ClusterStateMap, "get">,
  options: { readonly clusterId: ClusterId; readonly kernelNowNs: bigint },
): ClusterUsability {
  const state = map.get(options.clusterId) ?? NEVER_WRITTEN;
  const drillNs =
    state.drill === ClusterDrill.down ? state.drillExpiresNs - options.kernelNowNs : 0n;
  const drilled = drillNs > 0n;
  return {
    usable: state.health !== ClusterHealth.down && state.drainedPercent < 100 && !drilled,
    health: healthName(state.health),
    drainedPercent: state.drainedPercent,
    drillSeconds: drilled ? Number(drillNs) / 1e9 : 0,
  };
}

function healthName(health: ClusterHealth): ClusterUsability["health"] {
  if (health === ClusterHealth.down) return "down";
  return health === ClusterHealth.suspect ? "suspect" : "healthy";
}
