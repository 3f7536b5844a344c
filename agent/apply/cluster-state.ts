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
  /** New connections may go there: all, some, or (wholly drained) those that no other can serve. */
  readonly usable: boolean;
  /** The worse of the families that were asked for. */
  readonly health: "healthy" | "suspect" | "last-resort" | "down";
  /** 0 once the drain is over. */
  readonly drainedPercent: number;
  /** Until the drill ends by itself; 0 without one. */
  readonly drillSeconds: number;
}

/** What every row is before anybody writes it: healthy in both families. */
export const NEVER_WRITTEN: ClusterState = {
  drillExpiresNs: 0n,
  drainExpiresNs: 0n,
  healthIpv4: ClusterHealth.healthy,
  healthIpv6: ClusterHealth.healthy,
  heldBackPercentIpv4: 0,
  heldBackPercentIpv6: 0,
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

/**
 * `kernelNowNs` is CLOCK_MONOTONIC, the clock by which drills and drains expire. Without a
 * `family` the worse one counts.
 */
export function readClusterUsability(
  map: Pick<ClusterStateMap, "get">,
  options: {
    readonly clusterId: ClusterId;
    readonly kernelNowNs: bigint;
    readonly family?: "ipv4" | "ipv6";
  },
): ClusterUsability {
  const state = map.get(options.clusterId) ?? NEVER_WRITTEN;
  const drillNs =
    state.drill === ClusterDrill.down ? state.drillExpiresNs - options.kernelNowNs : 0n;
  const drilled = drillNs > 0n;
  const drainOver = state.drainExpiresNs > 0n && state.drainExpiresNs <= options.kernelNowNs;
  const drainedPercent = drainOver ? 0 : state.drainedPercent;
  const health = worstHealth(state, options.family);
  return {
    usable: health !== "down" && !drilled,
    health,
    drainedPercent,
    drillSeconds: drilled ? Number(drillNs) / 1e9 : 0,
  };
}

/** From the worst to the best. */
const HEALTH_NAMES: readonly [ClusterHealth, ClusterUsability["health"]][] = [
  [ClusterHealth.down, "down"],
  [ClusterHealth.lastResort, "last-resort"],
  [ClusterHealth.suspect, "suspect"],
];

function worstHealth(
  { healthIpv4, healthIpv6 }: ClusterState,
  family: "ipv4" | "ipv6" | undefined,
): ClusterUsability["health"] {
  const asked = { ipv4: [healthIpv4], ipv6: [healthIpv6], both: [healthIpv4, healthIpv6] };
  const found = HEALTH_NAMES.find(([health]) => asked[family ?? "both"].includes(health));
  return found?.[1] ?? "healthy";
}
