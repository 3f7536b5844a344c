// The account of a service: every request and every kept connection in exactly one place. Pure.
import type { KeptFlow } from "../operations/questions.ts";
import type { Ledger, ServiceResult } from "./report.ts";
import { clusterOf, isAnswered, type CanaryEvidence, type Sample } from "./samples.ts";

export const BUCKET_MS = 100;

/** Requests that the fault can have met: those that were under way when it came, and all later. */
export function isAfterFault(sample: Sample): boolean {
  return sample.endMs >= 0;
}

/** sent = answered + failed + hung + duplicated, of all requests of the drill. */
export function requestLedger(samples: readonly Sample[]): Ledger["requests"] {
  const count = (outcome: Sample["outcome"]): number =>
    samples.filter((sample) => sample.outcome === outcome).length;
  return {
    sent: samples.length,
    answered: count("answered"),
    failed: count("failed"),
    hung: count("hung"),
    duplicated: count("duplicated"),
  };
}

/**
 * Of the connections that were open when the fault came: established = survived + reset + hung +
 * moved. `moved`: it was ended, and the one in its place went to another cluster.
 */
export function flowLedger(
  evidence: readonly CanaryEvidence[],
  injectedAtMs: number,
): Ledger["flows"] {
  const fates = evidence.flatMap(({ kept, clock }) => {
    const atMs = injectedAtMs + clock.offsetMs;
    const index = kept.findIndex(
      ({ openedAtMs, endedAtMs }) => openedAtMs <= atMs && (endedAtMs < 0 || endedAtMs >= atMs),
    );
    const flow = kept[index];
    return flow === undefined ? [] : [fateOf(flow, kept[index + 1])];
  });
  const count = (fate: Fate): number => fates.filter((one) => one === fate).length;
  return {
    established: fates.length,
    survived: count("survived"),
    reset: count("reset"),
    hung: count("hung"),
    moved: count("moved"),
  };
}

/** From the first sample to the last, without gaps. */
export function bucketsFrom(samples: readonly Sample[]): ServiceResult["buckets"] {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return [];
  const start = Math.floor(first.sentMs / BUCKET_MS);
  const count = Math.floor(last.sentMs / BUCKET_MS) - start + 1;
  const buckets = Array.from({ length: count }, (_, i) => ({
    atMs: (start + i) * BUCKET_MS,
    answered: {} as Record<string, number>,
    failed: 0,
    hung: 0,
  }));
  for (const sample of samples) {
    const bucket = buckets[Math.floor(sample.sentMs / BUCKET_MS) - start];
    if (bucket === undefined) continue;
    if (isAnswered(sample)) {
      bucket.answered[sample.cluster] = (bucket.answered[sample.cluster] ?? 0) + 1;
    } else if (sample.outcome === "hung") bucket.hung += 1;
    else bucket.failed += 1;
  }
  return buckets;
}

/**
 * How much of the answers comes from other clusters than before, 0 … 1, less what chance alone
 * explains (three standard deviations): a weighted choice never gives the same shares twice.
 */
export function movedRatio(before: readonly Sample[], after: readonly Sample[]): number {
  const [old, now] = [shares(before), shares(after)];
  if (old.count === 0 || now.count === 0) return 0;
  const clusters = new Set([...old.of.keys(), ...now.of.keys()]);
  let moved = 0;
  for (const cluster of clusters) {
    moved += Math.max(0, (now.of.get(cluster) ?? 0) - (old.of.get(cluster) ?? 0));
  }
  // A cluster that was not seen in n answers may have had a share of 3 / n (with 95 % certainty).
  const spread = 1.5 * Math.sqrt(1 / old.count + 1 / now.count);
  const chance = old.of.size === 1 ? 3 / old.count : spread;
  return Math.max(0, moved - chance);
}

type Fate = "survived" | "reset" | "hung" | "moved";

function fateOf(flow: KeptFlow, next: KeptFlow | undefined): Fate {
  if (flow.end === "") return "survived";
  if (flow.end === "hung") return "hung";
  const moved = next !== undefined && clusterOf(next.answer) !== clusterOf(flow.answer);
  return moved && clusterOf(next.answer) !== "" ? "moved" : "reset";
}

function shares(samples: readonly Sample[]): { of: Map<string, number>; count: number } {
  const answered = samples.filter((sample) => isAnswered(sample) && sample.cluster !== "");
  const of = new Map<string, number>();
  for (const { cluster } of answered) {
    of.set(cluster, (of.get(cluster) ?? 0) + 1 / answered.length);
  }
  return { of, count: answered.length };
}
