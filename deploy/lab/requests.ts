// What the lab's client (workload/client.ts) records, and what can be said about many of its
// records: how many, from whom, how fast, and what went wrong. Pure.
import { MeshError } from "../../mesh/core/errors.ts";

/** One request: either `answer` or `error`. */
export interface RequestRecord {
  readonly n: number;
  /** Wall clock, so that it can be compared with what others did. */
  readonly sentAtMs: number;
  readonly target: string;
  /** Until the answer or the error. */
  readonly ms: number;
  readonly answer?: string;
  readonly error?: string;
}

export interface RequestSummary {
  readonly requests: number;
  readonly failures: number;
  /** "CLUSTER/POD" → answers, in the order of their names. */
  readonly byBackend: ReadonlyMap<string, number>;
  readonly byCluster: ReadonlyMap<string, number>;
  /** Error text → how often. */
  readonly byError: ReadonlyMap<string, number>;
  /** Of answers; undefined without any. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

/** Throws `data_loss` for a line that the client did not write. */
export function parseRequestLine(line: string): RequestRecord {
  try {
    return JSON.parse(line) as RequestRecord;
  } catch (cause) {
    const start = JSON.stringify(line.slice(0, 80));
    throw new MeshError("data_loss", `Cannot read a line of the client: ${start}`, { cause });
  }
}

export function summariseRequests(records: readonly RequestRecord[]): RequestSummary {
  const answered = records.filter(({ answer }) => answer !== undefined);
  const times = answered.map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    requests: records.length,
    failures: records.length - answered.length,
    byBackend: countBy(answered.map(({ answer }) => answer ?? "")),
    byCluster: countBy(answered.map(clusterOfAnswer)),
    byError: countBy(records.flatMap(({ error }) => error ?? [])),
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
  };
}

/** The part of "CLUSTER/POD" before the slash. */
export function clusterOfAnswer({ answer }: RequestRecord): string {
  return answer?.split("/")[0] ?? "";
}

/** "east 51, west 49" */
export function formatCounts(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of [...names].sort()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Nearest rank of a sorted list. */
function quantile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}
