// What the kernel counted of the pods' own connections, as what is new since the last look.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type {
  BackendEvidence as BackendEvidenceRow,
  BackendKey,
  ClusterEvidence as ClusterEvidenceRow,
} from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { rowsOfClusters } from "./cluster-rows.ts";
import type { BackendEvidence, PassiveEvidence } from "./observation.ts";

export interface EvidenceMaps {
  readonly clusterEvidence: Pick<BpfMap<number, ClusterEvidenceRow>, "entries">;
  readonly backendEvidence: Pick<BpfMap<BackendKey, BackendEvidenceRow>, "entries">;
}

/** Whose a backend is; undefined for one that the datapath no longer has. */
export type PlaceOfBackend = (
  backendId: number,
) => Pick<BackendEvidence, "clusterId" | "cluster" | "family" | "node"> | undefined;

export interface EvidenceReader {
  /** What is new since the last call; nothing the first time, since nobody knows how old it is. */
  read(clusterIds: Iterable<ClusterId>): {
    readonly passive: readonly PassiveEvidence[];
    readonly suspects: readonly BackendEvidence[];
  };
}

/** Nearly always there is none; what is more comes with further system calls. */
const FEW_ROWS = 64;

export function createEvidenceReader(options: {
  readonly maps: EvidenceMaps;
  readonly placeOf: PlaceOfBackend;
}): EvidenceReader {
  const { maps, placeOf } = options;
  const clusters = new Map<ClusterId, ClusterEvidenceRow>();
  let backends = new Map<number, BackendEvidenceRow>();
  let first = true;

  function readClusters(clusterIds: Iterable<ClusterId>): PassiveEvidence[] {
    const found: PassiveEvidence[] = [];
    for (const [clusterId, now] of rowsOfClusters(maps.clusterEvidence, clusterIds)) {
      const before = clusters.get(clusterId);
      clusters.set(clusterId, now);
      if (before !== undefined && changed(before, now)) {
        found.push({ clusterId, ...difference(before, now) });
      }
    }
    return found;
  }

  function readBackends(): BackendEvidence[] {
    const found: BackendEvidence[] = [];
    const seen = new Map<number, BackendEvidenceRow>();
    for (const [{ backendId }, now] of maps.backendEvidence.entries(FEW_ROWS)) {
      seen.set(backendId, now);
      const news = first ? undefined : newsOf(backends.get(backendId), now);
      const place = news === undefined ? undefined : placeOf(backendId);
      if (news !== undefined && place !== undefined) found.push({ backendId, ...place, ...news });
    }
    backends = seen;
    return found;
  }

  return {
    read(clusterIds) {
      const passive = readClusters(clusterIds);
      const suspects = readBackends();
      first = false;
      return { passive, suspects };
    },
  };
}

const COUNTS = ["connects", "established", "failed", "retransmissions", "aborted"] as const;

function changed(before: ClusterEvidenceRow, now: ClusterEvidenceRow): boolean {
  return COUNTS.some((name) => before[name] !== now[name]);
}

function difference(
  before: ClusterEvidenceRow,
  now: ClusterEvidenceRow,
): Omit<PassiveEvidence, "clusterId"> {
  const of = (name: (typeof COUNTS)[number]): number => {
    const news = Number(now[name] - before[name]);
    // A map that was made anew counts from 0.
    return news < 0 ? Number(now[name]) : news;
  };
  return {
    connects: of("connects"),
    established: of("established"),
    failed: of("failed"),
    retransmissions: of("retransmissions"),
    aborted: of("aborted"),
  };
}

/** A success sets the row's counts to 0, so a count that is lower is all new. */
function newsOf(
  before: BackendEvidenceRow | undefined,
  now: BackendEvidenceRow,
): Pick<BackendEvidence, "failures" | "established" | "retransmissions"> | undefined {
  const since = (name: "failures" | "retransmissions"): number => {
    const was = before?.[name] ?? 0;
    return now[name] < was ? now[name] : now[name] - was;
  };
  const succeeded = now.lastSuccessNs !== (before?.lastSuccessNs ?? 0n);
  const news = {
    failures: succeeded ? now.failures : since("failures"),
    established: succeeded ? 1 : 0,
    retransmissions: succeeded ? now.retransmissions : since("retransmissions"),
  };
  return news.failures + news.established + news.retransmissions > 0 ? news : undefined;
}
