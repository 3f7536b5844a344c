// The reconciler's three verbs on a store: how a table of keys and values gets into etcd, for
// exporters and mirrors alike. Rows are keyed by full etcd key. Also the task that has lost keys
// written again.
import { MeshError } from "../core/errors.ts";
import type { Failures, KeyedRow, Operations, Reconciler, UpdateRow } from "../core/reconciler.ts";
import type { Table } from "../core/table.ts";
import { leaseClassOf } from "./lease-book.ts";
import type { StoreOperation, WritableStore } from "./store.ts";
import { TRANSACTION_MAX_BYTES } from "./transaction-plan.ts";

/** Rows in a commit: so many transactions that the wait for the last of them, when nothing else is
 * under way, is small beside all others. A commit that fails has this many rows written again. */
const COMMIT_ROWS = 8_192;
/** Keys removed by a prune in one commit. */
const PRUNE_BATCH = 1_024;

export function createStoreOperations(options: {
  readonly store: WritableStore;
  /** What this writer owns, whole: a prune removes whatever else stands below it. */
  readonly prefix: string;
}): Operations<Buffer> {
  const { store, prefix } = options;
  return {
    batchRows: COMMIT_ROWS,
    async update(rows, signal) {
      const failures = new Map<string, Error>();
      const puts: StoreOperation[] = [];
      for (const row of rows) {
        const refusal = refusalOf(row, store);
        if (refusal === undefined) puts.push({ kind: "put", key: row.key, value: row.row });
        else failures.set(row.key, refusal);
      }
      if (puts.length > 0) await store.commit(puts, signal);
      return failures;
    },
    async delete(rows: readonly KeyedRow<Buffer>[], signal): Promise<Failures> {
      await store.commit(
        rows.map(({ key }) => ({ kind: "delete", key })),
        signal,
      );
      return new Map();
    },
    prune: (desired, signal) => prunePrefix({ store, prefix, desired }, signal),
  };
}

/** Has whatever a lost lease took away written again. Resolves when the signal aborts. */
export async function runReapplyLost(
  options: { readonly store: WritableStore; readonly reconciler: Pick<Reconciler, "reapply"> },
  signal: AbortSignal,
): Promise<void> {
  for await (const keys of options.store.lostKeys(signal)) options.reconciler.reapply(keys);
}

/** Why this row must not be tried together with its neighbours, or at all. */
function refusalOf({ key, row }: UpdateRow<Buffer>, store: WritableStore): MeshError | undefined {
  if (key.length + row.length > TRANSACTION_MAX_BYTES)
    return new MeshError(
      "invalid_argument",
      `Cannot write "${key}": ${row.length} bytes, at most ${TRANSACTION_MAX_BYTES} with the key`,
    );
  const lost = leaseClassOf(key) === "vouching" ? store.lostCount() : 0;
  if (lost > 0)
    return new MeshError(
      "unavailable",
      `Cannot write "${key}": it would vouch for ${lost} keys that are not written again yet`,
    );
  return undefined;
}

async function prunePrefix(
  options: { store: WritableStore; prefix: string; desired: Table<Buffer> },
  signal: AbortSignal,
): Promise<void> {
  const { store, prefix, desired } = options;
  const surplus: string[] = [];
  for await (const page of store.list(prefix, signal))
    for (const { key } of page) if (desired.get(key) === undefined) surplus.push(key);
  for (let start = 0; start < surplus.length; start += PRUNE_BATCH) {
    // Looked up again: the table may have gained the key since.
    const batch = surplus
      .slice(start, start + PRUNE_BATCH)
      .filter((key) => desired.get(key) === undefined);
    await store.commit(
      batch.map((key) => ({ kind: "delete", key })),
      signal,
    );
  }
}
