// The plainest correct way to do with etcd what the mirror does: paged range reads and batched
// puts, no validation, no leases, no watch. What ours is measured against.
import type { Etcd3 } from "etcd3";

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Keeps a page of small records far below gRPC's default message limit of 4 MiB. */
const PAGE_KEYS = 1_000;
/** etcd's default --max-txn-ops. */
const TRANSACTION_PUTS = 128;

/** Every key of a prefix at one revision, page by page. */
export async function* readPages(client: Etcd3, prefix: string): AsyncGenerator<KeyValue[]> {
  const end = endOfPrefix(prefix);
  let from = Buffer.from(prefix);
  let revision: string | undefined;
  for (;;) {
    const response = await client.kv.range({
      key: from,
      range_end: end,
      limit: PAGE_KEYS,
      ...(revision === undefined ? {} : { revision }),
    });
    revision ??= response.header.revision;
    yield response.kvs;
    const last = response.kvs.at(-1);
    if (!response.more || last === undefined) return;
    from = Buffer.concat([last.key, Buffer.from([0])]);
  }
}

export async function putAll(client: Etcd3, entries: readonly KeyValue[]): Promise<void> {
  for (let start = 0; start < entries.length; start += TRANSACTION_PUTS) {
    const batch = entries.slice(start, start + TRANSACTION_PUTS);
    await client.kv.txn({
      success: batch.map(({ key, value }) => ({ request_put: { key, value } })),
    });
  }
}

export async function countKeys(client: Etcd3, prefix: string): Promise<number> {
  const { count } = await client.kv.range({
    key: Buffer.from(prefix),
    range_end: endOfPrefix(prefix),
    count_only: true,
  });
  return Number(count);
}

/** The first key after all keys of the prefix; prefixes here end with an ASCII character. */
function endOfPrefix(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return end;
}
