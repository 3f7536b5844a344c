// Writes the judge's view of clusters into cluster_state: both families of a cluster in one write,
// drains and drills left as they are, and nothing where nothing changed.
//
//   judged        row                 judged        row
//   healthy       healthy             down          down
//   suspect       suspect             recovering    healthy, a share held back
//   unknown       as the row was when this agent began: a start moves no traffic
//
// While this node itself is cut off, clusters that are not down are the last resort.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { ClusterHealth, type ClusterState } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { ClusterView, Family, HealthView } from "../health/observation.ts";
import { setClusterState } from "./cluster-state.ts";

export type ClusterHealthMap = Pick<BpfMap<number, ClusterState>, "get" | "put" | "entries">;

export interface ClusterHealthTarget {
  /** What the rows held as down when this was made. */
  readonly downBefore: readonly { readonly clusterId: ClusterId; readonly family: Family }[];
  /** Returns the clusters whose row was written. */
  apply(view: HealthView): readonly ClusterId[];
  /** The cluster is gone, or nobody looks after it any more: nothing is held against it. */
  forget(clusterId: ClusterId): void;
  /** Clusters whose row says anything but "healthy". */
  impaired(): readonly ClusterId[];
}

/** One family's part of a row. */
interface FamilyHealth {
  readonly health: ClusterHealth;
  readonly heldBackPercent: number;
}

interface RowHealth {
  readonly 4: FamilyHealth;
  readonly 6: FamilyHealth;
}

const WELL: FamilyHealth = { health: ClusterHealth.healthy, heldBackPercent: 0 };

export function createClusterHealthTarget(map: ClusterHealthMap): ClusterHealthTarget {
  /** What the rows hold; without a row here, healthy. */
  const held = new Map<ClusterId, RowHealth>();
  for (const [clusterId, state] of map.entries()) {
    const row = healthOfState(state);
    if (!isWell(row)) held.set(clusterId, row);
  }
  /** For clusters of which nothing is known yet. */
  const begun = new Map(held);

  function write(clusterId: ClusterId, row: RowHealth): boolean {
    if (sameRow(held.get(clusterId) ?? { 4: WELL, 6: WELL }, row)) return false;
    setClusterState(map, {
      clusterId,
      healthIpv4: row[4].health,
      heldBackPercentIpv4: row[4].heldBackPercent,
      healthIpv6: row[6].health,
      heldBackPercentIpv6: row[6].heldBackPercent,
    });
    if (isWell(row)) held.delete(clusterId);
    else held.set(clusterId, row);
    return true;
  }

  function wantedOf(view: ClusterView, { isolated }: HealthView): FamilyHealth {
    if (view.state === "down") return { health: ClusterHealth.down, heldBackPercent: 0 };
    if (isolated) return { health: ClusterHealth.lastResort, heldBackPercent: 0 };
    switch (view.state) {
      case "unknown":
        return begun.get(view.clusterId)?.[view.family] ?? WELL;
      case "suspect":
        return { health: ClusterHealth.suspect, heldBackPercent: 0 };
      case "recovering":
        return { health: ClusterHealth.healthy, heldBackPercent: view.heldBackPercent };
      case "healthy":
        return WELL;
    }
  }

  return {
    downBefore: [...held].flatMap(([clusterId, row]) =>
      ([4, 6] as const)
        .filter((family) => row[family].health === ClusterHealth.down)
        .map((family) => ({ clusterId, family })),
    ),
    apply(view) {
      endLastResort(begun, view);
      const wanted = new Map<ClusterId, RowHealth>();
      for (const cluster of view.clusters) {
        const { clusterId, family } = cluster;
        const row = wanted.get(clusterId) ?? held.get(clusterId) ?? { 4: WELL, 6: WELL };
        wanted.set(clusterId, { ...row, [family]: wantedOf(cluster, view) });
      }
      return [...wanted].filter(([id, row]) => write(id, row)).map(([id]) => id);
    },
    forget(clusterId) {
      begun.delete(clusterId);
      write(clusterId, { 4: WELL, 6: WELL });
    },
    impaired: () => [...held.keys()],
  };
}

/** Somebody is heard: an isolation from before this agent began is over for all. */
function endLastResort(begun: Map<ClusterId, RowHealth>, view: HealthView): void {
  if (begun.size === 0 || view.isolated) return;
  if (!view.clusters.some(({ state }) => state === "healthy")) return;
  for (const [clusterId, row] of begun) {
    begun.set(clusterId, { 4: withoutLastResort(row[4]), 6: withoutLastResort(row[6]) });
  }
}

function withoutLastResort(part: FamilyHealth): FamilyHealth {
  return part.health === ClusterHealth.lastResort ? WELL : part;
}

function healthOfState(state: ClusterState): RowHealth {
  return {
    4: { health: state.healthIpv4, heldBackPercent: state.heldBackPercentIpv4 },
    6: { health: state.healthIpv6, heldBackPercent: state.heldBackPercentIpv6 },
  };
}

function sameRow(a: RowHealth, b: RowHealth): boolean {
  return samePart(a[4], b[4]) && samePart(a[6], b[6]);
}

function samePart(a: FamilyHealth, b: FamilyHealth): boolean {
  return a.health === b.health && a.heldBackPercent === b.heldBackPercent;
}

function isWell(row: RowHealth): boolean {
  return samePart(row[4], WELL) && samePart(row[6], WELL);
}
