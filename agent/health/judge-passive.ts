// What connections came to in the last two rounds, cluster by cluster. Enough to see that somebody
// refuses; who it is, a backend, a node or all of the cluster, the probes decide.
//
// News comes in slices: one a round, and one a look between rounds. Within a slice nobody knows
// what came first, but all of it came after the slice before.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { JudgeLimits } from "./judge-limits.ts";
import type { BackendEvidence, Observation } from "./observation.ts";

export interface Passive {
  add(observation: Observation): void;
  failedConnects(clusterId: ClusterId): number;
  /** Connects fail, and none succeeds: whoever it is that fails, one failure is enough. */
  isRefusing(clusterId: ClusterId): boolean;
  /** What connects since the last success say of the cluster as a whole. */
  refusal(clusterId: ClusterId): Refusal;
  /** Connects have begun to fail a moment ago. */
  hasBegun(clusterId: ClusterId): boolean;
}

/** How many connects failed and none succeeded: enough to believe that everybody refuses, or few. */
export type Refusal = "none" | "few" | "many";

interface Connects {
  readonly failed: number;
  readonly established: number;
}

interface Slice {
  readonly atMs: number;
  readonly clusters: ReadonlyMap<ClusterId, Connects>;
  readonly backends: readonly BackendEvidence[];
}

/** When connects to a cluster began to fail, and when they last did. */
interface Failing {
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** Rounds are never exactly an interval apart; this covers the last one and the one before. */
const WINDOW_INTERVALS = 1.5;

export function createPassive(limits: JudgeLimits): Passive {
  /** The latest last. */
  let slices: readonly Slice[] = [];
  const failing = new Map<ClusterId, Failing>();
  let nowMs = 0;

  function* connectsTo(clusterId: ClusterId): Iterable<Connects> {
    for (const { clusters } of slices) {
      const connects = clusters.get(clusterId);
      if (connects !== undefined) yield connects;
    }
  }

  function failedConnects(clusterId: ClusterId): number {
    let sum = 0;
    for (const { failed } of connectsTo(clusterId)) sum += failed;
    return sum;
  }

  /** In slices after the last one with a success. */
  function failedSinceSuccess(clusterId: ClusterId): number {
    let sum = 0;
    for (const { failed, established } of connectsTo(clusterId)) {
      sum = established > 0 ? 0 : sum + failed;
    }
    return sum;
  }

  /** Counts of the backends that failed, each since its own last success. */
  function failedApart(clusterId: ClusterId): { failed: number; nodes: number } {
    const backends = new Map<number, { failed: number; node: string }>();
    for (const news of slices.flatMap((slice) => slice.backends)) {
      if (news.clusterId !== clusterId) continue;
      const before = news.established > 0 ? 0 : (backends.get(news.backendId)?.failed ?? 0);
      backends.set(news.backendId, { failed: before + news.failures, node: news.node ?? "" });
    }
    const refused = [...backends.values()].filter(({ failed }) => failed > 0);
    return {
      failed: refused.reduce((sum, { failed }) => sum + failed, 0),
      nodes: new Set(refused.map(({ node }) => node)).size,
    };
  }

  return {
    add({ passive, suspects, atMs, blind }) {
      nowMs = atMs;
      // What gathered over a pause is not what happens now.
      const now = blind
        ? { atMs, clusters: new Map<ClusterId, Connects>(), backends: [] }
        : {
            atMs,
            clusters: new Map(passive.map((cluster) => [cluster.clusterId, cluster])),
            backends: suspects,
          };
      const fromMs = blind ? Infinity : atMs - WINDOW_INTERVALS * limits.intervalMs;
      slices = [...slices.filter((slice) => slice.atMs > fromMs), now];
      for (const [clusterId, { failed }] of now.clusters) {
        if (failed === 0) continue;
        const before = failing.get(clusterId);
        const isNew = before === undefined || atMs - before.lastMs > limits.glanceQuietMs;
        failing.set(clusterId, { sinceMs: isNew ? atMs : before.sinceMs, lastMs: atMs });
      }
    },
    failedConnects,
    isRefusing(clusterId) {
      for (const { established } of connectsTo(clusterId)) if (established > 0) return false;
      return failedConnects(clusterId) >= limits.refusedConnects;
    },
    refusal(clusterId) {
      const inRow = failedSinceSuccess(clusterId);
      if (inRow === 0) return "none";
      if (inRow >= limits.refusedConnects) return "many";
      const { failed, nodes } = failedApart(clusterId);
      const isApart = failed >= limits.refusedConnectsApart && nodes >= limits.refusedNodes;
      if (isApart) return "many";
      return inRow >= limits.refusedConnectsFew ? "few" : "none";
    },
    hasBegun(clusterId) {
      const since = failing.get(clusterId);
      return since !== undefined && nowMs - since.sinceMs < limits.glanceMs;
    },
  };
}
