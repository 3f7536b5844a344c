// Writes drains of whole clusters into cluster_state: share and end in one write, health and drills
// left as they are. The end is the kernel's: it comes when every process is dead. What the rows
// hold at the start stays until it is known that nobody wants it any more.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { ClusterState } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { setClusterState } from "./cluster-state.ts";

export type ClusterDrainMap = Pick<BpfMap<number, ClusterState>, "get" | "put" | "entries">;

export interface WantedDrain {
  readonly percent: number;
  /** From now; 0 for a drain without an end. */
  readonly remainingMs: number;
}

export interface ClusterDrainTarget {
  /**
   * Returns the clusters whose row was written. A drain that is not wanted is taken back, or made
   * less, only where `isKnown`.
   */
  apply(
    wanted: ReadonlyMap<ClusterId, WantedDrain>,
    isKnown: (clusterId: ClusterId) => boolean,
  ): readonly ClusterId[];
}

const NANOSECONDS_A_MILLISECOND = 1_000_000n;
/** The wall clock and the kernel's drift apart; ends that are as near as this are the same. */
const SAME_END_NS = 1_000_000_000n;

export function createClusterDrainTarget(
  map: ClusterDrainMap,
  { kernelNowNs }: { readonly kernelNowNs: () => bigint },
): ClusterDrainTarget {
  const drained = new Set<ClusterId>();
  for (const [clusterId, { drainedPercent }] of map.entries()) {
    if (drainedPercent > 0) drained.add(clusterId);
  }

  function write(clusterId: ClusterId, drainedPercent: number, drainExpiresNs: bigint): void {
    setClusterState(map, { clusterId, drainedPercent, drainExpiresNs });
    if (drainedPercent > 0) drained.add(clusterId);
    else drained.delete(clusterId);
  }

  return {
    apply(wanted, isKnown) {
      const now = kernelNowNs();
      const written: ClusterId[] = [];
      for (const clusterId of new Set([...drained, ...wanted.keys()])) {
        const row = map.get(clusterId);
        const over = isOver(row, now);
        const holds = over ? 0 : (row?.drainedPercent ?? 0);
        const { percent, remainingMs } = wanted.get(clusterId) ?? NO_DRAIN;
        if (percent < holds && !isKnown(clusterId)) continue;
        const end =
          remainingMs === 0
            ? 0n
            : now + BigInt(Math.round(remainingMs)) * NANOSECONDS_A_MILLISECOND;
        const sameRow = row?.drainedPercent === percent && sameEnd(row.drainExpiresNs, end);
        if (sameRow) continue;
        write(clusterId, percent, end);
        written.push(clusterId);
      }
      return written;
    },
  };
}

const NO_DRAIN: WantedDrain = { percent: 0, remainingMs: 0 };

function isOver(row: ClusterState | undefined, nowNs: bigint): boolean {
  return row !== undefined && row.drainExpiresNs > 0n && row.drainExpiresNs <= nowNs;
}

function sameEnd(a: bigint, b: bigint): boolean {
  if (a === 0n || b === 0n) return a === b;
  return (a > b ? a - b : b - a) < SAME_END_NS;
}
