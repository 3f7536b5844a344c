// What is told of a drain: that it began, changed or ended, and by what. Pure.
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import { drainIsInForce } from "../../mesh/kvstore/records/drain.ts";
import type { EventSink } from "../../mesh/operations/event.ts";

export type DrainEvent = Parameters<EventSink["emit"]>[0];

/** A drain that was ordered longer ago than this has begun already. */
const NEWS_MS = 15_000;

/** Undefined if nothing that matters to people has changed. */
export function drainEvent(change: {
  readonly before: DrainRecord | undefined;
  readonly after: DrainRecord | undefined;
  readonly nowMs: number;
}): DrainEvent | undefined {
  const { before, after, nowMs } = change;
  const drain = after ?? before;
  if (drain === undefined) return undefined;
  const from = before === undefined ? "" : stateOf(before);
  const to = after === undefined ? "" : stateOf(after);
  if (from === to && before?.expiresAtMs === after?.expiresAtMs) return undefined;
  return {
    kind: "drain",
    severity: after === undefined ? "info" : "warning",
    subject: drain.cluster,
    from: from === "" ? "not drained" : from,
    to: to === "" ? "not drained" : to,
    text: `${whatOf(drain)} ${verbOf(change, nowMs)}${reasonOf(drain)}`,
    evidence: {
      id: drain.id,
      percent: after?.percent ?? 0,
      services: drain.services.join(" "),
      secondsLeft: secondsLeft(after, nowMs),
      graceSeconds: drain.graceSeconds,
    },
  };
}

function stateOf({ percent }: DrainRecord): string {
  return `drained ${percent} %`;
}

function whatOf({ cluster, services }: DrainRecord): string {
  const [first, ...more] = services;
  if (first === undefined) return `Drain of cluster "${cluster}"`;
  const others = more.length === 0 ? "" : ` and ${more.length} more services`;
  return `Drain of ${first}${others} in cluster "${cluster}"`;
}

function verbOf(
  { before, after }: { before: DrainRecord | undefined; after: DrainRecord | undefined },
  nowMs: number,
): string {
  if (after !== undefined) {
    const end = after.expiresAtMs === 0 ? "" : `, for ${secondsLeft(after, nowMs)} s`;
    // What an apiserver finds when it starts began earlier.
    const began = nowMs - after.createdAtMs < NEWS_MS ? "begins" : "is in force";
    const verb = before === undefined ? began : "is changed";
    return `${verb}: ${after.percent} % of new connections go elsewhere${end}`;
  }
  const ended = before !== undefined && !drainIsInForce(before, nowMs);
  return ended ? "is over: its time has come" : "is taken back";
}

function reasonOf({ reason }: DrainRecord): string {
  return reason === "" ? "" : ` (${reason})`;
}

function secondsLeft(drain: DrainRecord | undefined, nowMs: number): number {
  if (drain === undefined || drain.expiresAtMs === 0) return 0;
  return Math.max(0, Math.round((drain.expiresAtMs - nowMs) / 1_000));
}
