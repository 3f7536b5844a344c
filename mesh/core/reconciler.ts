// Makes a target (a BPF map, the routing table) hold what a desired table says. Level-triggered:
// a change only says which keys to look at again. Failed rows are retried with back-off, keyed
// by row, and never stop their neighbours. Nothing is pruned before the desired table is synced.
import { setImmediate } from "node:timers/promises";
import { createBackoff, type Backoff } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { isMeshError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import type { Table } from "./table.ts";

/** Failed rows by key. An empty map means that all went well. */
export type Failures = ReadonlyMap<string, Error>;

/** Rows in a call have distinct keys. Each verb is idempotent: the reconciler repeats it at will. */
export interface Operations<T> {
  /** Rows handed over in one call at most; BATCH_ROWS if left out. */
  readonly batchRows?: number;
  /**
   * Make the target hold these rows. `previous` is what was last applied with success under the
   * key, if known: on a retry it is not the row that failed, which may be half there.
   */
  update(rows: readonly UpdateRow<T>[], signal: AbortSignal): Promise<Failures>;
  /** Remove these rows. Removing what is not there is success. */
  delete(rows: readonly KeyedRow<T>[], signal: AbortSignal): Promise<Failures>;
  /**
   * Remove everything that is in the target but not in `desired`. Called after the sync of
   * `desired` and after its rows were applied, again with back-off until it succeeds once.
   */
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
  /** Prune once more: the operations may now remove what they had to keep the last time. */
  pruneAgain(): void;
  status(): ReconcilerStatus;
}

/** Rows in a call unless the operations say so: large enough to use batch system calls well, small
 * enough that one call does not hold the event loop for more than some 10 ms. */
const BATCH_ROWS = 1_024;
/** etcd and the kernel answer again within this time after a hiccup. */
const RETRY_BASE_MS = 50;
/** The longest that a repaired target waits for its rows. */
const RETRY_CAP_MS = 30_000;

interface Retry {
  readonly error: Error;
  readonly backoff: Backoff;
  readonly atMs: number;
}

export function createReconciler<T>(options: ReconcilerOptions<T>): Reconciler {
  const { desired, operations, clock, log } = options;
  const batchRows = operations.batchRows ?? BATCH_ROWS;
  /** Rows that the target holds for certain. */
  const applied = new Map<string, T>();
  /** Rows whose update failed: some of it may be there, and a delete removes that too. */
  const halfDone = new Map<string, T>();
  const failed = new Map<string, Retry>();
  const lost = new Set<string>();
  let prune: "wanted" | "done" | Retry = "wanted";
  let pruneRequests = 0;
  let wakeUp = (): void => {};

  async function reconcile(keys: Iterable<string>, signal: AbortSignal): Promise<void> {
    const updates: UpdateRow<T>[] = [];
    const deletes: KeyedRow<T>[] = [];
    const clearances: KeyedRow<T>[] = [];
    for (const key of keys) {
      const row = desired.get(key);
      const previous = applied.get(key);
      if (row !== undefined) {
        if (row !== previous || failed.has(key) || lost.has(key))
          updates.push({ key, row, previous });
      } else {
        const half = halfDone.get(key);
        if (previous !== undefined) deletes.push({ key, row: previous });
        if (half !== undefined) clearances.push({ key, row: half });
        if (previous === undefined && half === undefined) failed.delete(key);
      }
      lost.delete(key);
    }
    await remove(deletes, { from: applied, signal });
    await remove(clearances, { from: halfDone, signal });
    for await (const batch of batches(updates, batchRows)) {
      const failures = await attempt(() => operations.update(batch, signal), batch);
      if (signal.aborted) return;
      for (const { key, row } of batch) {
        if (failures.size > 0 && failures.has(key)) {
          halfDone.set(key, row);
        } else {
          applied.set(key, row);
          if (halfDone.size > 0) halfDone.delete(key);
        }
      }
      settle(batch, failures);
    }
  }

  async function remove(
    rows: readonly KeyedRow<T>[],
    source: { from: Map<string, T>; signal: AbortSignal },
  ): Promise<void> {
    for await (const batch of batches(rows, batchRows)) {
      const failures = await attempt(() => operations.delete(batch, source.signal), batch);
      if (source.signal.aborted) return;
      for (const { key } of batch) if (!failures.has(key)) source.from.delete(key);
      settle(batch, failures);
    }
  }

  function settle(batch: readonly KeyedRow<T>[], failures: Failures): void {
    if (failures.size === 0 && failed.size === 0) return;
    for (const { key } of batch) {
      const error = failures.get(key);
      // What is left of a deleted row (the other one of its two halves) is still to be removed.
      const rest = desired.get(key) === undefined && (applied.has(key) || halfDone.has(key));
      if (error !== undefined) failed.set(key, nextRetry(error, failed.get(key)));
      else if (!rest) failed.delete(key);
    }
    const [first] = failures;
    if (first === undefined) return;
    const [key, error] = first;
    log.warn("Rows could not be applied", { table: desired.name, rows: failures.size, key, error });
  }

  function nextRetry(error: Error, last: Retry | undefined): Retry {
    const backoff =
      last?.backoff ??
      createBackoff({ baseMs: RETRY_BASE_MS, capMs: RETRY_CAP_MS, random: options.random });
    return { error, backoff, atMs: clock.monotonicMs() + backoff.nextMs() };
  }

  async function pruneIfDue(signal: AbortSignal): Promise<void> {
    if (prune === "done" || !desired.synced) return;
    const earlier = prune === "wanted" ? undefined : prune;
    if (earlier !== undefined && earlier.atMs > clock.monotonicMs()) return;
    try {
      const requests = pruneRequests;
      await operations.prune(desired, signal);
      prune = requests === pruneRequests ? "done" : "wanted";
    } catch (cause) {
      if (signal.aborted) return;
      const error = errorFromThrown(cause);
      prune = nextRetry(error, earlier);
      log.warn("Table could not be pruned", { table: desired.name, error });
    }
  }

  async function runChanges(signal: AbortSignal): Promise<void> {
    for await (const keys of desired.changes(signal)) {
      await turn(async () => {
        await reconcile(keys, signal);
        await pruneIfDue(signal);
      });
      wakeUp();
    }
  }

  async function runRetries(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => wakeUp();
    signal.addEventListener("abort", onAbort, { once: true });
    while (!signal.aborted) {
      const pruneWaits = prune === "done" || (prune === "wanted" && !desired.synced);
      if (failed.size === 0 && lost.size === 0 && pruneWaits) {
        await new Promise<void>((resolve) => {
          wakeUp = resolve;
        });
        continue;
      }
      await clock.sleep(RETRY_BASE_MS, signal);
      await turn(async () => {
        const now = clock.monotonicMs();
        const due = new Set(lost);
        for (const [key, retry] of failed) if (retry.atMs <= now) due.add(key);
        await reconcile(due, signal);
        await pruneIfDue(signal);
      });
    }
  }

  // Changes and retries take turns on the target, so that two writers never meet.
  let last: Promise<unknown> = Promise.resolve();
  function turn<R>(work: () => Promise<R>): Promise<R> {
    const next = last.then(work);
    // The caller of this turn handles its error; the next turn starts anyway.
    last = next.catch(() => {});
    return next;
  }

  return {
    async run(signal) {
      const retries = runRetries(signal).catch((error: unknown) => {
        if (!isMeshError(error, "aborted")) throw error;
      });
      await Promise.all([retries, runChanges(signal)]);
    },
    reapply(keys) {
      for (const key of keys) lost.add(key);
      wakeUp();
    },
    pruneAgain() {
      // A prune that is under way may have passed what is meant: it is repeated, too.
      pruneRequests++;
      if (prune === "done") prune = "wanted";
      wakeUp();
    },
    status: () => ({
      name: desired.name,
      applied: applied.size,
      failed: new Map([...failed].map(([key, retry]) => [key, retry.error])),
      pruned: prune === "done",
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
    const reason = errorFromThrown(error);
    return new Map(batch.map(({ key }) => [key, reason]));
  }
}

function errorFromThrown(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Timers have their turn between two of them: a probe must not wait for 10,000 services. */
async function* batches<R>(rows: readonly R[], size: number): AsyncGenerator<readonly R[]> {
  for (let start = 0; start < rows.length; start += size) {
    if (start > 0) await setImmediate();
    yield rows.slice(start, start + size);
  }
}
