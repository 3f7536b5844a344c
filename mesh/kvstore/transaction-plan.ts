// Cutting a commit into transactions that etcd accepts. Pure.
import { leaseClassOf } from "./lease-book.ts";
import type { StoreOperation } from "./store.ts";

/** etcd's default `--max-txn-ops`. */
export const TRANSACTION_MAX_OPERATIONS = 128;
/** Two thirds of etcd's default `--max-request-bytes`: room for keys, leases and framing. */
export const TRANSACTION_MAX_BYTES = 1024 * 1024;

export type Transaction = readonly StoreOperation[];

/**
 * Transactions in two stages; the second is to begin when the first is done. It holds the puts
 * of canaries and of the heartbeat, which vouch for everything else. Their deletions come first:
 * what is about to change must not be vouched for.
 */
export function planTransactions(operations: readonly StoreOperation[]): {
  readonly first: readonly Transaction[];
  readonly last: readonly Transaction[];
} {
  const vouches = (operation: StoreOperation): boolean =>
    operation.kind === "put" && leaseClassOf(operation.key) === "vouching";
  return {
    first: cut(operations.filter((operation) => !vouches(operation))),
    last: cut(operations.filter(vouches)),
  };
}

function cut(operations: readonly StoreOperation[]): Transaction[] {
  const transactions: StoreOperation[][] = [];
  let bytes = 0;
  for (const operation of operations) {
    const size = operation.key.length + (operation.kind === "put" ? operation.value.length : 0);
    const current = transactions.at(-1);
    const fits =
      current !== undefined &&
      current.length < TRANSACTION_MAX_OPERATIONS &&
      bytes + size <= TRANSACTION_MAX_BYTES;
    if (fits) {
      current.push(operation);
      bytes += size;
    } else {
      transactions.push([operation]);
      bytes = size;
    }
  }
  return transactions;
}
