// Rows of maps that are arrays by cluster id, read in one system call however many clusters there
// are: up to the highest id that is asked for, since ids are given out from the lowest.
import type { ProbeRequest } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";

type ClusterArray<V> = Pick<BpfMap<number, V>, "entries">;

/** Of those that the map has; by id. */
export function* rowsOfClusters<V>(
  map: ClusterArray<V>,
  clusterIds: Iterable<ClusterId>,
): Iterable<[ClusterId, V]> {
  const wanted = new Set(clusterIds);
  const last = Math.max(-1, ...wanted);
  if (last < 0) return;
  for (const [clusterId, row] of map.entries(last + 1)) {
    if (clusterId > last) return;
    if (wanted.has(clusterId)) yield [clusterId, row];
  }
}

/** When a probe of a cluster's nodes was last heard here, in milliseconds of CLOCK_MONOTONIC. */
export function heardRequests(
  map: ClusterArray<ProbeRequest>,
  clusterIds: Iterable<ClusterId>,
): ReadonlyMap<ClusterId, number> {
  const heard = new Map<ClusterId, number>();
  for (const [clusterId, { lastNs }] of rowsOfClusters(map, clusterIds)) {
    if (lastNs !== 0n) heard.set(clusterId, Number(lastNs) / 1e6);
  }
  return heard;
}
