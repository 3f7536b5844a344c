// A drain that a drill orders: one record of the drained cluster about itself, with its end, beside
// whatever operators have ordered, and through the same store as `mesh drain`.
import { createHash } from "node:crypto";
import type { DrainStore } from "../connect/drain-store.ts";
import type { Clock } from "../core/clock.ts";
import type { ClusterIdentity } from "../core/cluster.ts";
import type { DrainOrder } from "../drill/drill-mesh.ts";
import { drainIsInForce, type DrainRecord } from "../kvstore/records/drain.ts";

/** A drill looks at what becomes of established flows, and not for long. */
const GRACE_SECONDS = 5;

export interface DrainPlace {
  /** Of the drained cluster. */
  readonly drains: DrainStore;
  readonly readProfile: () => Promise<Pick<ClusterIdentity, "id">>;
  readonly clock: Clock;
}

export async function orderDrain(
  { drains, readProfile, clock }: DrainPlace,
  order: DrainOrder,
  signal: AbortSignal,
): Promise<void> {
  const { id: clusterId } = await readProfile();
  const { id, ...rest } = order;
  const nowMs = clock.nowMs();
  const record: DrainRecord = {
    ...rest,
    id: recordId(id),
    clusterId,
    graceSeconds: GRACE_SECONDS,
    createdAtMs: nowMs,
  };
  const withRecord = (known: readonly DrainRecord[]): DrainRecord[] => [
    ...known.filter((drain) => drain.id !== record.id && drainIsInForce(drain, nowMs)),
    record,
  ];
  await drains.change(withRecord, signal);
}

/** Idempotent. */
export async function takeBackDrain(
  { drains }: Pick<DrainPlace, "drains">,
  drill: string,
  signal: AbortSignal,
): Promise<void> {
  const id = recordId(drill);
  const without = (known: readonly DrainRecord[]): DrainRecord[] =>
    known.filter((drain) => drain.id !== id);
  await drains.change(without, signal);
}

/** Ids of drills are longer than those of drains. */
function recordId(drill: string): string {
  return `drill-${createHash("sha256").update(drill).digest("hex").slice(0, 24)}`;
}
