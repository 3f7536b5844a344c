// One kind of record on its way into our own etcd, whether it is our own or a mirrored one: the
// reconciler for its rows, and its canary, which vouches for them once all are written.
import { createReconciler, type Operations } from "../mesh/core/reconciler.ts";
import type { Clock } from "../mesh/core/clock.ts";
import { isMeshError } from "../mesh/core/errors.ts";
import type { Logger } from "../mesh/core/logger.ts";
import type { Table } from "../mesh/core/table.ts";
import { runCanaries } from "../mesh/kvstore/canaries.ts";
import type { WritableStore } from "../mesh/kvstore/store.ts";
import { createStoreOperations } from "../mesh/kvstore/store-operations.ts";

export interface WriterOptions {
  /** Rows by etcd key. */
  readonly desired: Table<Buffer>;
  readonly store: WritableStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface KindWriterOptions extends WriterOptions {
  /** Ends with "/": everything below it in etcd is this writer's, pruned once `desired` is synced. */
  readonly prefix: string;
  readonly canaryKey: string;
  /** For an owner who has listed the prefix already: what was there. Emptied by the prune. */
  readonly leftovers?: Set<string>;
}

export interface WriterStatus {
  readonly desired: number;
  readonly applied: number;
  readonly failed: ReadonlyMap<string, Error>;
  /** The first full write is done, and the canary says so. */
  readonly synced: boolean;
}

export interface EtcdWriter {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Writes again those of `keys` that are this writer's: etcd has lost their lease. */
  reapply(keys: readonly string[]): void;
  status(): WriterStatus;
}

export interface KindWriter extends EtcdWriter {
  /**
   * An earlier run has vouched for the rows that `desired` holds by now: once they are written
   * again, so may be the canary, although their source has not been heard of yet.
   */
  takeOverCanary(): void;
}

export function createKindWriter(options: KindWriterOptions): KindWriter {
  const { desired, prefix, canaryKey, store } = options;
  const reconciler = createReconciler({ ...options, operations: kindOperations(options) });
  let takenOver = false;
  let written = false;
  let vouchedFor = false;

  function allWritten(): boolean {
    const { applied, failed } = reconciler.status();
    const given = [...failed.values()].filter(isLasting).length;
    return failed.size === given && applied + failed.size >= desired.size;
  }

  /** Once written whole, always: what changes later is what any reader expects. */
  function isWritten(): boolean {
    written ||= desired.synced && reconciler.status().pruned && allWritten();
    return written;
  }

  const canaryStore: WritableStore = {
    ...store,
    async commit(operations, signal) {
      const revision = await store.commit(operations, signal);
      vouchedFor = true;
      return revision;
    },
  };

  return {
    async run(signal) {
      const ready = (): boolean => isWritten() || (takenOver && allWritten());
      await Promise.all([
        reconciler.run(signal),
        runCanaries({ ...options, store: canaryStore, keys: [canaryKey], ready }, signal),
      ]);
    },
    takeOverCanary() {
      takenOver = true;
    },
    reapply(keys) {
      const lost = keys.filter((key) => key.startsWith(prefix));
      if (lost.length > 0) reconciler.reapply(lost);
    },
    status() {
      const { applied, failed } = reconciler.status();
      return { desired: desired.size, applied, failed, synced: isWritten() && vouchedFor };
    },
  };
}

/** A prune lists the whole prefix again, unless its owner knows what is left over. */
function kindOperations({ store, prefix, leftovers }: KindWriterOptions): Operations<Buffer> {
  const operations = createStoreOperations({ store, prefix });
  if (leftovers === undefined) return operations;
  return {
    ...operations,
    async prune(desired, signal) {
      const surplus = [...leftovers].filter((key) => desired.get(key) === undefined);
      if (surplus.length > 0) {
        await store.commit(
          surplus.map((key) => ({ kind: "delete", key })),
          signal,
        );
      }
      leftovers.clear();
    },
  };
}

/** A writer of single keys that have no common prefix; what it does not know it leaves alone. */
export function createSingleKeysWriter(options: WriterOptions): EtcdWriter {
  const { desired, store } = options;
  // The table is never marked as synced, so nothing is ever pruned.
  const operations = createStoreOperations({ store, prefix: "" });
  const reconciler = createReconciler({ ...options, operations });
  return {
    run: (signal) => reconciler.run(signal),
    reapply(keys) {
      const lost = keys.filter((key) => desired.get(key) !== undefined);
      if (lost.length > 0) reconciler.reapply(lost);
    },
    status() {
      const { applied, failed } = reconciler.status();
      return { desired: desired.size, applied, failed, synced: applied >= desired.size };
    },
  };
}

/** Refused for what it is: one such record must not keep a whole kind from being read. */
function isLasting(error: Error): boolean {
  return isMeshError(error, "resource_exhausted") || isMeshError(error, "invalid_argument");
}
