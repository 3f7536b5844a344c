// One drill at a time: a key in a cluster's etcd that is there for as long as its lease, and names
// the drill and whoever runs it. The lease ends by itself, so that a drill whose coordinator died
// blocks nobody for longer than it may last.
import { MeshError } from "../core/errors.ts";
import type { EtcdConnection } from "./etcd-connection.ts";

export const DRILL_LOCK_KEY = "tombolo/local/drill-lock/v1";

export interface DrillLock {
  readonly drill: string;
  /** In words for people. */
  readonly holder: string;
}

interface TxnResponse {
  readonly succeeded: boolean;
  readonly responses?: readonly {
    readonly response_range?: {
      readonly kvs?: readonly { readonly value: Buffer; readonly lease: string }[];
    };
  }[];
}

const CALL_TIMEOUT_MS = 5_000;

/**
 * Takes or renews the lock; undefined when it is ours, otherwise who has it ("" for nobody, which
 * only a renewal finds). A renewal gets a new lease, so that it lasts as long as was asked last.
 */
export async function takeDrillLock(
  connection: EtcdConnection,
  lock: DrillLock & { readonly ttlMs: number; readonly renew: boolean },
  signal: AbortSignal,
): Promise<DrillLock | undefined> {
  const { ttlMs, renew, ...value } = lock;
  const { ID: lease } = await connection.call<{ ID: string }>(
    {
      service: "Lease",
      method: "leaseGrant",
      request: { TTL: Math.max(1, Math.ceil(ttlMs / 1_000)), ID: 0 },
      timeoutMs: CALL_TIMEOUT_MS,
      doing: "grant the lease of the drill lock",
    },
    signal,
  );
  const key = Buffer.from(DRILL_LOCK_KEY);
  const put = { request_put: { key, value: Buffer.from(JSON.stringify(value)), lease } };
  const absent = { key, result: renew ? "Less" : "Equal", target: "Create", create_revision: 0 };
  const taken = await transact(connection, { compare: [absent], success: [put] }, signal);
  if (taken.succeeded) return undefined;
  const found = taken.responses?.[0]?.response_range?.kvs?.[0];
  const holder = found === undefined ? undefined : parseDrillLock(found.value);
  if (found !== undefined && holder?.drill === lock.drill) {
    const same = { key, result: "Equal", target: "Value", value: found.value };
    const renewed = await transact(connection, { compare: [same], success: [put] }, signal);
    if (renewed.succeeded) {
      await revoke(connection, found.lease, signal);
      return undefined;
    }
  }
  await revoke(connection, lease, signal);
  if (holder === undefined && renew) return { drill: "", holder: "" };
  if (holder === undefined || holder.drill === lock.drill) {
    throw new MeshError("conflict", "Cannot take the drill lock: it changed at the same time");
  }
  return holder;
}

/** Takes the key away if that drill holds it, or whoever holds it for "". */
export async function releaseDrillLock(
  connection: EtcdConnection,
  drill: string,
  signal: AbortSignal,
): Promise<void> {
  const key = Buffer.from(DRILL_LOCK_KEY);
  const never = { key, result: "Less", target: "Create", create_revision: 0 };
  const { responses } = await transact(connection, { compare: [never], success: [] }, signal);
  const found = responses?.[0]?.response_range?.kvs?.[0];
  if (found === undefined) return;
  if (drill !== "" && parseDrillLock(found.value).drill !== drill) return;
  const same = { key, result: "Equal", target: "Value", value: found.value };
  const remove = { request_delete_range: { key } };
  const removed = await transact(connection, { compare: [same], success: [remove] }, signal);
  if (removed.succeeded) await revoke(connection, found.lease, signal);
}

export function parseDrillLock(value: Buffer): DrillLock {
  try {
    const fields = (JSON.parse(value.toString()) ?? {}) as Record<string, unknown>;
    const { drill, holder } = fields;
    if (typeof drill === "string" && typeof holder === "string") return { drill, holder };
  } catch {
    // Not JSON: the same answer as for JSON of another shape.
  }
  throw new MeshError("data_loss", `Cannot read "${DRILL_LOCK_KEY}": it is no drill lock`);
}

/** Where the comparison fails, the answer is what the key holds. */
function transact(
  connection: EtcdConnection,
  { compare, success }: { compare: readonly unknown[]; success: readonly unknown[] },
  signal: AbortSignal,
): Promise<TxnResponse> {
  const failure = [{ request_range: { key: Buffer.from(DRILL_LOCK_KEY) } }];
  return connection.call<TxnResponse>(
    {
      service: "KV",
      method: "txn",
      request: { compare, success, failure },
      timeoutMs: CALL_TIMEOUT_MS,
      doing: "change the drill lock",
    },
    signal,
  );
}

async function revoke(
  connection: EtcdConnection,
  lease: string,
  signal: AbortSignal,
): Promise<void> {
  await connection
    .call<unknown>(
      {
        service: "Lease",
        method: "leaseRevoke",
        request: { ID: lease },
        timeoutMs: CALL_TIMEOUT_MS,
        doing: "revoke the lease of the drill lock",
      },
      signal,
    )
    .catch(() => {}); // It runs out by itself.
}
