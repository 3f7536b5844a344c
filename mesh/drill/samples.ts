// From what canaries of many nodes have noted to one list of samples a service, all in the
// coordinator's time. Pure.
import type { CanaryOrder, CanaryRecord, KeptFlow } from "../operations/questions.ts";
import type { Place } from "./drill-mesh.ts";
import type { ClockFacts } from "./facts.ts";

/** What one order on one node has brought. */
export interface CanaryEvidence {
  readonly place: Place;
  readonly order: CanaryOrder;
  readonly records: readonly CanaryRecord[];
  readonly kept: readonly KeptFlow[];
  readonly clock: ClockFacts;
}

export type Outcome = "answered" | "failed" | "hung" | "duplicated";

/** One request. Times are milliseconds after the fault began, by the coordinator's clock. */
export interface Sample {
  /** Node and target: whose requests come one after the other. */
  readonly source: string;
  readonly sentMs: number;
  /** When it was answered, or when it was known that it would not be. */
  readonly endMs: number;
  /** The cluster that answered; "" without an answer, or if that is not known. */
  readonly cluster: string;
  readonly outcome: Outcome;
}

/** In the order in which they were sent. */
export function samplesFrom(
  evidence: readonly CanaryEvidence[],
  injectedAtMs: number,
): readonly Sample[] {
  return evidence
    .flatMap(({ place, order, records, clock }) =>
      records.map((record): Sample => {
        const sentMs = record.sentAtMs - clock.offsetMs - injectedAtMs;
        return {
          source: sourceName(place, order),
          sentMs,
          endMs: sentMs + (record.ms < 0 ? order.timeoutMs : record.ms),
          cluster: clusterOf(record.answer),
          outcome: outcomeOf(record),
        };
      }),
    )
    .sort((a, b) => a.sentMs - b.sentMs);
}

export function sourceName({ cluster, node }: Place, { target }: CanaryOrder): string {
  return `${cluster}/${node} ${target}`;
}

/** "CLUSTER/POD" or "CLUSTER". */
export function clusterOf(answer: string): string {
  return answer.split("/", 1)[0] ?? "";
}

export function isAnswered({ outcome }: Sample): boolean {
  return outcome === "answered" || outcome === "duplicated";
}

/** Each request is exactly one of the four; one that is still under way at the end has hung. */
function outcomeOf({ ms, error, duplicates }: CanaryRecord): Outcome {
  if (ms < 0 || error === "hung") return "hung";
  if (error !== "") return "failed";
  return duplicates > 0 ? "duplicated" : "answered";
}

/** The smallest value that `percent` of all do not exceed; 0 for none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const index = Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1);
  return sorted[index] ?? 0;
}
