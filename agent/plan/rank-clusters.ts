// In which order and with which shares the clusters that have backends for a frontend are used:
// affinity, failover order, weights and the minimum of healthy backends as tiers and weights.
// Pure. A tier depends on the settings, the cluster's name and its own state alone, so that
// clusters which come and go never move the others.
//
// Rank of a cluster (lower is better, the local cluster is L):
//
//   settings                        rank
//   affinity none, no order         all 0
//   affinity local, no order        L 0, others 1
//   affinity remote, no order       others 0, L 1
//   order "b, c+d", none or local   L 0, b 1, c and d 2, others 3 (an L in the list stands there)
//   order "b, c+d", remote          b 0, c and d 1, others 2, L 3
//
// Weights: a cluster with a weight gets that share of its rank; one without is used only when no
// weighted cluster of its rank can serve. Where no weights are set, the share is the number of
// backends, so that every backend gets the same. A weight of 0 takes a cluster out.
//
// Minimum: a cluster with fewer ready backends than `min-healthy` gets weight 0. A percentage is
// of the most backends that any cluster has for the frontend, because the wire tells only of
// ready ones. When no cluster reaches the minimum it is ignored: too few is better than none.
//
// Down: backends that are known to be down count neither for the minimum nor for the share by
// number (with all of them down the share stays as it was: the datapath passes the group over by
// itself).
//
// Leaving: a cluster whose endpoints for the frontend all terminate but still serve (KEP-1669)
// stands behind all that are ready, in the one tier of its kind, whatever its rank, and counts for
// no minimum. Its weight is as above.
//
// Example: L = east with 1 backend, west with 4, north with 3; failover-order "west+north",
// weights "west=90,north=10", min-healthy "50%". The minimum is 2. Ranks: east 0, west and north
// 1; with weights set each rank has two tiers: east (unweighted) tier 1 weight 0 (below the
// minimum), west tier 2 weight 90, north tier 2 weight 10. All connections leave east, 9 of 10 to
// west; with one more backend east takes them all back.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { MinHealthy, ServiceSettings } from "../../mesh/core/service.ts";

export interface ServiceBackend {
  /** Canonical address text. */
  readonly address: string;
  readonly port: number;
}

/** What one cluster offers for one frontend. */
export interface ClusterBackends {
  readonly cluster: string;
  readonly clusterId: ClusterId;
  /** Sorted, without duplicates. */
  readonly backends: readonly ServiceBackend[];
  /** How many of them are not known to be down; all if left out. */
  readonly healthy?: number;
  /** All of them are going away and still serve: used only while nobody ready can be. */
  readonly leaving?: boolean;
}

export interface BackendGroup extends ClusterBackends {
  /** 0 is used first. */
  readonly tier: number;
  /** Share within the tier; 0 means never used. */
  readonly weight: number;
}

/** A group's tier is one byte in the datapath. The last one belongs to endpoints that leave. */
export const LEAVING_TIER = 255;
/** Ranks beyond it share it. */
export const LAST_TIER = 254;

/** Groups sorted by tier, then cluster id. Candidates without backends make no group. */
export function rankClusters(
  candidates: readonly ClusterBackends[],
  service: { readonly settings: ServiceSettings; readonly localCluster: string },
): BackendGroup[] {
  const { settings, localCluster } = service;
  const serving = candidates.filter(({ backends }) => backends.length > 0);
  const ready = serving.filter(({ leaving }) => leaving !== true);
  const minimum = minimumBackends(settings.minHealthy, ready);
  const minimumHolds = ready.some(
    (candidate) => healthyOf(candidate) >= minimum && weightOf(candidate, settings) > 0,
  );
  const groups = serving.map((candidate) => {
    if (candidate.leaving === true) {
      return { ...candidate, tier: LEAVING_TIER, weight: weightOf(candidate, settings) };
    }
    const tooFew = minimumHolds && healthyOf(candidate) < minimum;
    return {
      ...candidate,
      tier: tierOf(candidate.cluster, settings, localCluster),
      weight: tooFew ? 0 : weightOf(candidate, settings),
    };
  });
  return groups.sort((a, b) => a.tier - b.tier || a.clusterId - b.clusterId);
}

function weightOf(candidate: ClusterBackends, settings: ServiceSettings): number {
  const { cluster, backends } = candidate;
  return settings.weights.get(cluster) ?? (healthyOf(candidate) || backends.length);
}

function healthyOf({ healthy, backends }: ClusterBackends): number {
  return healthy ?? backends.length;
}

function tierOf(cluster: string, settings: ServiceSettings, localCluster: string): number {
  const rank = rankOf(cluster, settings, localCluster);
  if (settings.weights.size === 0) return Math.min(rank, LAST_TIER);
  return Math.min(rank * 2 + (settings.weights.has(cluster) ? 0 : 1), LAST_TIER);
}

function rankOf(cluster: string, settings: ServiceSettings, localCluster: string): number {
  const { failoverOrder: order, affinity } = settings;
  const isLocal = cluster === localCluster;
  if (order.length === 0) {
    if (affinity === "none") return 0;
    return isLocal === (affinity === "local") ? 0 : 1;
  }
  const listed = order.findIndex((tier) => tier.includes(cluster));
  if (affinity === "remote") {
    if (listed >= 0) return listed;
    return isLocal ? order.length + 1 : order.length;
  }
  if (listed >= 0) return listed + 1;
  return isLocal ? 0 : order.length + 1;
}

function minimumBackends(
  minHealthy: MinHealthy | undefined,
  serving: readonly ClusterBackends[],
): number {
  if (minHealthy === undefined) return 0;
  if (minHealthy.kind === "count") return minHealthy.count;
  const most = serving.reduce((max, candidate) => Math.max(max, healthyOf(candidate)), 0);
  return Math.ceil((most * minHealthy.percent) / 100);
}
