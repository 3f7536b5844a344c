// Makes a target (a BPF map, the routing table) hold what a desired table says. Level-triggered:
// a change only says which keys to look at again. Failed rows are retried with back-off, keyed
// by row, and never stop their neighbours. Nothing is pruned before the desired table is synced.
import { createBackoff, type Backoff } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { isMeshError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import type { Table } from "./table.ts";

/** Failed rows by key. An empty map means that all went well. */
export type Failures = ReadonlyMap<string, Error>;

/** Rows in a call have distinct keys. Each verb is idempotent: the reconciler repeats it at will. */
export interface Operations<T> {
  /** Make the target hold these rows. `previous` is what was last applied under the key, if known. */
  update(rows: readonly UpdateRow<T>[], signal: AbortSignal): Promise<Failures>;
  /** Remove these rows. Removing what is not there is success. */
  delete(rows: readonly KeyedRow<T>[], signal: AbortSignal): Promise<Failures>;
  /** Remove everything that is in the target but not in `desired`. Called once, after sync. */
  prune(desired: Table<T>, signal: AbortSignal): Promise<void>;
}

export interface KeyedRow<T> {
  readonly key: string;
  readonly row: T;
}

export interface UpdateRow<T> extends KeyedRow<T> {
  readonly previous: T | undefined;
}

export interface ReconcilerStatus {
  readonly name: string;
  readonly applied: number;
  /** Rows whose last attempt failed, with the reason. */
  readonly failed: ReadonlyMap<string, Error>;
  readonly pruned: boolean;
}

export interface ReconcilerOptions<T> {
  readonly desired: Table<T>;
  readonly operations: Operations<T>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface Reconciler {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Apply these rows again although they have not changed: their target lost them (a lease expired). */
  reapply(keys: Iterable<string>): void;
  status(): ReconcilerStatus;
}

/** Rows handed to the target in one call: large enough to use batch system calls well, small
 * enough that one call does not hold the event loop for more than some 10 ms. */
const BATCH_ROWS = 1_024;
const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 30_000;

export function createReconciler<T>(options: ReconcilerOptions<T>): Reconciler {
  const { desired, operations, clock, log } = options;
  const applied = new Map<string, T>();
  const failed = new Map<string, { error: Error; backoff: Backoff; retryAtMs: number }>();
  const lost = new Set<string>();
  let pruned = false;

  async function reconcile(keys: Iterable<string>, signal: AbortSignal): Promise<void> {
    const updates: UpdateRow<T>[] = [];
    const deletes: KeyedRow<T>[] = [];
    for (const key of keys) {
      const row = desired.get(key);
      const previous = applied.get(key);
      if (row !== undefined) {
        if (row !== previous || failed.has(key) || lost.has(key))
          updates.push({ key, row, previous });
      } else if (previous !== undefined) {
        deletes.push({ key, row: previous });
      } else {
        failed.delete(key);
      }
      lost.delete(key);
    }
    for (const batch of batches(deletes)) {
      const failures = await attempt(() => operations.delete(batch, signal), batch);
      for (const { key } of batch) {
        if (settle(key, failures)) applied.delete(key);
      }
    }
    for (const batch of batches(updates)) {
      const failures = await attempt(() => operations.update(batch, signal), batch);
      // A failed update may have been half done: remember it as applied so that a later delete
      // still removes what is there.
      for (const { key, row } of batch) {
        settle(key, failures);
        applied.set(key, row);
      }
    }
  }

  function settle(key: string, failures: Failures): boolean {
    const error = failures.get(key);
    if (error === undefined) {
      failed.delete(key);
      return true;
    }
    const backoff =
      failed.get(key)?.backoff ??
      createBackoff({ baseMs: RETRY_BASE_MS, capMs: RETRY_CAP_MS, random: options.random });
    failed.set(key, { error, backoff, retryAtMs: clock.monotonicMs() + backoff.nextMs() });
    log.warn("Row could not be applied", { table: desired.name, key, error });
    return false;
  }

  async function pruneOnce(signal: AbortSignal): Promise<void> {
    if (pruned || !desired.synced) return;
    await operations.prune(desired, signal);
    pruned = true;
  }

  async function runRetries(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(RETRY_BASE_MS, signal);
      const now = clock.monotonicMs();
      const due = [...failed].filter(([, entry]) => entry.retryAtMs <= now).map(([key]) => key);
      due.push(...lost);
      if (due.length > 0) await turn(() => reconcile(due, signal));
      if (!pruned && desired.synced)
        await turn(() => pruneOnce(signal)).catch((error: unknown) => {
          if (!signal.aborted) log.warn("Prune failed", { table: desired.name, error });
        });
    }
  }

  // Changes and retries take turns on the target, so that two writers never meet.
  let last: Promise<unknown> = Promise.resolve();
  function turn<R>(work: () => Promise<R>): Promise<R> {
    const next = last.then(work);
    last = next.catch(() => {}); // The caller of this turn handles its error; the next turn starts anyway.
    return next;
  }

  return {
    async run(signal) {
      const retries = runRetries(signal).catch((error: unknown) => {
        if (!isMeshError(error, "aborted")) throw error;
      });
      const changes = (async () => {
        for await (const keys of desired.changes(signal)) await turn(() => reconcile(keys, signal));
      })();
      await Promise.all([retries, changes]);
    },
    reapply(keys) {
      for (const key of keys) lost.add(key);
    },
    status: () => ({
      name: desired.name,
      applied: applied.size,
      failed: new Map([...failed].map(([key, entry]) => [key, entry.error])),
      pruned,
    }),
  };
}

/** An operation that throws has failed for every row of its batch. */
async function attempt<T>(
  work: () => Promise<Failures>,
  batch: readonly KeyedRow<T>[],
): Promise<Failures> {
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error));
    return new Map(batch.map(({ key }) => [key, reason]));
  }
}

function* batches<R>(rows: readonly R[]): Generator<readonly R[]> {
  for (let start = 0; start < rows.length; start += BATCH_ROWS)
    yield rows.slice(start, start + BATCH_ROWS);
}
