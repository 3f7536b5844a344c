// What connections came to in the last two rounds, cluster by cluster. Enough to see that somebody
// refuses; who it is, a backend, a node or all of the cluster, the probes decide.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { JudgeLimits } from "./judge-limits.ts";
import type { Observation } from "./observation.ts";

export interface Passive {
  add(observation: Observation): void;
  failedConnects(clusterId: ClusterId): number;
  /** Connects fail, and none succeeds. */
  isRefusing(clusterId: ClusterId): boolean;
}

interface Connects {
  readonly failed: number;
  readonly established: number;
}

const NONE: Connects = { failed: 0, established: 0 };

export function createPassive(limits: JudgeLimits): Passive {
  let before: ReadonlyMap<ClusterId, Connects> = new Map();
  let now: ReadonlyMap<ClusterId, Connects> = new Map();
  const recent = (clusterId: ClusterId): Connects => {
    const [a, b] = [before.get(clusterId) ?? NONE, now.get(clusterId) ?? NONE];
    return { failed: a.failed + b.failed, established: a.established + b.established };
  };
  return {
    add({ passive, blind }) {
      // What gathered over a pause is not what happens now.
      before = blind ? new Map() : now;
      now = new Map(blind ? [] : passive.map((cluster) => [cluster.clusterId, cluster]));
    },
    failedConnects: (clusterId) => recent(clusterId).failed,
    isRefusing(clusterId) {
      const { failed, established } = recent(clusterId);
      return failed >= limits.refusedConnects && established === 0;
    },
  };
}
