// The recovery time and its parts, from what clients saw and what nodes say they did. Pure.
//
//   fault ─► first error ─► detected ─► decided ─► applied
//         ─► first success ─► converged (RTO)
//   lifted ─► failback
//
// Of several nodes the slowest counts: a service has recovered when every client's has.
import type { TimelineEntry } from "../operations/questions.ts";
import { isAfterFault } from "./ledger.ts";
import type { RecoveryTimes } from "./report.ts";
import { isAnswered, type Sample } from "./samples.ts";

/** An entry of a node's timeline, in milliseconds after the fault by the coordinator's clock. */
export interface TimedEntry {
  readonly atMs: number;
  readonly observer: { readonly cluster: string; readonly node: string };
  readonly what: TimelineEntry["what"];
  readonly cluster: string;
  readonly text: string;
}

export interface TimesInput {
  readonly samples: readonly Sample[];
  /** Only what nodes that asked this service say of what the drill touches. */
  readonly entries: readonly TimedEntry[];
  /** Milliseconds after the fault. */
  readonly liftedMs: number;
  /** The clusters whose return is waited for. */
  readonly returning: readonly string[];
}

export function recoveryTimes(input: TimesInput): RecoveryTimes {
  const { samples, entries, liftedMs, returning } = input;
  const during = samples.filter((sample) => isAfterFault(sample) && sample.sentMs < liftedMs);
  const firstError = during.find((sample) => !isAnswered(sample));
  const first = firstError === undefined ? undefined : Math.max(0, firstError.sentMs);
  const times = {
    firstErrorMs: first,
    detectedMs: slowest(entries, "detected", liftedMs),
    decidedMs: slowest(entries, "decided", liftedMs),
    appliedMs: slowest(entries, "applied", liftedMs),
    firstSuccessMs: first === undefined ? undefined : firstSuccessAfter(during, first),
    convergedMs: converged(during),
    failbackMs: failback(samples, liftedMs, returning),
  };
  return Object.fromEntries(
    Object.entries(times).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, round(ms)]])),
  );
}

/**
 * From which moment no request of any source fails any more: the first that was sent after the
 * last failure and answered. Undefined if a source's requests never recover, 0 if none fails.
 */
function converged(during: readonly Sample[]): number | undefined {
  let worst = 0;
  for (const own of Map.groupBy(during, ({ source }) => source).values()) {
    const lastFailure = own.findLastIndex((sample) => !isAnswered(sample));
    if (lastFailure < 0) continue;
    const recovered = own[lastFailure + 1];
    if (recovered === undefined) return undefined;
    worst = Math.max(worst, recovered.sentMs);
  }
  return worst;
}

/** The end of the first request that was sent after the first error and answered. */
function firstSuccessAfter(during: readonly Sample[], ms: number): number | undefined {
  const ends = during.filter((sample) => sample.sentMs > ms && isAnswered(sample));
  return ends.length === 0 ? undefined : Math.min(...ends.map(({ endMs }) => endMs));
}

/** After the lifting, until the first answer of a cluster that answered before the fault. */
function failback(
  samples: readonly Sample[],
  liftedMs: number,
  returning: readonly string[],
): number | undefined {
  const back = samples.find(
    (sample) =>
      sample.sentMs >= liftedMs && isAnswered(sample) && returning.includes(sample.cluster),
  );
  return back === undefined ? undefined : back.endMs - liftedMs;
}

/** When the last of the nodes that say so at all had come to it for the first time. */
function slowest(
  entries: readonly TimedEntry[],
  what: TimedEntry["what"],
  liftedMs: number,
): number | undefined {
  const firsts = new Map<string, number>();
  for (const entry of entries) {
    if (entry.what !== what || entry.atMs < 0 || entry.atMs > liftedMs) continue;
    const node = `${entry.observer.cluster}/${entry.observer.node}`;
    firsts.set(node, Math.min(firsts.get(node) ?? Infinity, entry.atMs));
  }
  return firsts.size === 0 ? undefined : Math.max(...firsts.values());
}

/** A tenth of a millisecond is finer than any of the clocks. */
function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
