// When flows are ended, and which. What is down is ended by agent/health, in the turn that decides;
// what drains is decided here: pure, what drains have become to orders.
//
//   a cluster goes down               its flows of that family, at once
//   a node or a backend goes down     flows to those backends, at once
//   last-resort (our own uplink)      nothing: connecting anew would not help who is cut off
//   a drain of 100 %                  the cluster's flows, those of the services that it names if
//                                     it names some, once its grace is over
//   a drain of less                   nothing: which half of the callers should be disturbed? Only
//                                     new connections yield; the shares meet as flows end
//
// Nothing is ended twice by policy: what is down stays down until it recovers, and what was ended
// comes not back to it.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";

/** A drain under way, and since when its flows are told to leave, on the monotonic clock. */
export interface DrainWatch {
  readonly record: DrainRecord;
  readonly sinceMs: number;
  readonly isDone: boolean;
}

export interface DrainOrder {
  readonly clusterId: ClusterId;
  /** Empty for all. */
  readonly services: readonly string[];
}

export interface DrainStep {
  /** By the drain's key. */
  readonly watched: ReadonlyMap<string, DrainWatch>;
  readonly orders: readonly DrainOrder[];
  /** When the next grace is over; Infinity when nothing waits. */
  readonly nextMs: number;
}

/**
 * One look at the drains there are, by key. The grace counts from when this node first saw the
 * drain as it is: clocks of other machines are not believed, and a node that starts again gives the
 * grace again rather than none. A drain that is gone or over has no grace to run out.
 */
export function stepDrains(
  before: ReadonlyMap<string, DrainWatch>,
  now: {
    readonly drains: ReadonlyMap<string, DrainRecord>;
    readonly monotonicMs: number;
    readonly wallMs: number;
  },
): DrainStep {
  const watched = new Map<string, DrainWatch>();
  const orders: DrainOrder[] = [];
  let nextMs = Infinity;
  for (const [key, record] of now.drains) {
    if (record.percent < 100 || isOver(record, now.wallMs)) continue;
    const known = before.get(key);
    const same = known !== undefined && asksTheSame(known.record, record);
    const sinceMs = same ? known.sinceMs : now.monotonicMs;
    const dueMs = sinceMs + record.graceSeconds * 1_000;
    const wasDone = same && known.isDone;
    // Which cluster it is may be known later than that it drains.
    const isDue = !wasDone && record.clusterId !== undefined && dueMs <= now.monotonicMs;
    if (isDue && record.clusterId !== undefined)
      orders.push({ clusterId: record.clusterId, services: record.services });
    watched.set(key, { record, sinceMs, isDone: wasDone || isDue });
    if (!wasDone && !isDue && dueMs > now.monotonicMs) nextMs = Math.min(nextMs, dueMs);
  }
  return { watched, orders, nextMs };
}

function isOver({ expiresAtMs }: DrainRecord, wallMs: number): boolean {
  return expiresAtMs !== 0 && expiresAtMs <= wallMs;
}

/** Nothing has changed that a caller in its grace would want to know. */
function asksTheSame(before: DrainRecord, after: DrainRecord): boolean {
  return (
    before.id === after.id &&
    before.cluster === after.cluster &&
    before.graceSeconds === after.graceSeconds &&
    before.createdAtMs === after.createdAtMs &&
    before.services.length === after.services.length &&
    before.services.every((service) => after.services.includes(service))
  );
}
