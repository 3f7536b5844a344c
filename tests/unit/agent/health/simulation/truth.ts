// What really is, of each cluster and family, beside what the judge says; and names to count by.
import type {
  ClusterView,
  Family,
  HealthSubject,
} from "../../../../../agent/health/observation.ts";

export interface Truth {
  readonly key: string;
  readonly clusterId: number;
  readonly family: Family;
  /** Answers nobody since, without a break; by its own fault. */
  cutSinceMs: number | undefined;
  wasUsedAtCut: boolean;
  lastCutMs: number;
  /** Was no peer then. */
  lastGoneMs: number;
  /** Nothing at all is wrong with the path since. */
  wellSinceMs: number;
  holdEndsMs: number;
}

export function newTruth(clusterId: number, family: Family): Truth {
  return {
    key: `${clusterId}/${family}`,
    clusterId,
    family,
    cutSinceMs: undefined,
    wasUsedAtCut: false,
    lastCutMs: -Infinity,
    lastGoneMs: -Infinity,
    wellSinceMs: 0,
    holdEndsMs: -Infinity,
  };
}

export function keyOfView({ clusterId, family }: ClusterView): string {
  return `cluster/${clusterId}/${family}`;
}

export function keyOf(subject: HealthSubject): string {
  switch (subject.kind) {
    case "cluster":
      return `cluster/${subject.clusterId}/${subject.family}`;
    case "node":
      return `node/${subject.clusterId}/${subject.family}/${subject.node}`;
    case "backend":
      return `backend/${subject.backendId}`;
    case "isolation":
      return "isolation";
  }
}
