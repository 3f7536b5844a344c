// The seam between the mesh and its state plane. Production is etcd (etcd-store.ts), tests may
// use memory (memory-store.ts); both pass tests/contract/store.ts.

export interface StoreEntry {
  readonly key: string;
  readonly value: Buffer;
  /** The revision at which the key was last written. */
  readonly revision: bigint;
}

export type WatchEvent =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: Buffer;
      readonly revision: bigint;
    }
  | { readonly kind: "delete"; readonly key: string; readonly revision: bigint }
  /** Everything that was there when the watch began has been delivered. Comes exactly once. */
  | { readonly kind: "synced"; readonly revision: bigint };

export interface ReadableStore {
  get(key: string, signal: AbortSignal): Promise<StoreEntry | undefined>;
  /** All keys below the prefix at one revision, in pages, in key order. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<readonly StoreEntry[]>;
  /**
   * One timeline of a prefix, in batches: the contents as puts, `synced`, then every change.
   * Survives disconnects: resumes from the last revision; after compaction lists again and
   * delivers the difference, missed deletions included. Rejects with `cluster_changed` when
   * another etcd answers (or one that lost revisions), because then its silence about a key
   * proves nothing. Ends when the signal is aborted.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<readonly WatchEvent[]>;
}

export type StoreOperation =
  | { readonly kind: "put"; readonly key: string; readonly value: Buffer }
  | { readonly kind: "delete"; readonly key: string };

export interface WritableStore extends ReadableStore {
  /**
   * Writes in order, cut into transactions of bounded size; keys of one call must be distinct.
   * Puts are attached to leases of at most 1,000 keys, kept alive while the store is open.
   * Resolves with the revision of the last transaction.
   */
  commit(operations: readonly StoreOperation[], signal: AbortSignal): Promise<bigint>;
  /** Deletes everything below a prefix. */
  deletePrefix(prefix: string, signal: AbortSignal): Promise<void>;
  /** Keys whose lease was lost, in batches; whoever wrote them writes them again. */
  lostKeys(signal: AbortSignal): AsyncIterable<readonly string[]>;
}
