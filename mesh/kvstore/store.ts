// The seam between the mesh and its state plane. Production is etcd (etcd-store.ts), tests may
// use memory (memory-store.ts); both pass tests/contract/store.ts.
import type { MeshError } from "../core/errors.ts";

export interface StoreEntry {
  readonly key: string;
  readonly value: Buffer;
  /** The revision at which the key was last written. */
  readonly revision: bigint;
}

export interface WatchTarget {
  readonly prefix: string;
  /**
   * At most this many keys are remembered and delivered; a further one is `refused`. The store
   * remembers the keys of a watch, and a peer decides how many it writes.
   */
  readonly maxKeys: number;
  /** Only the key that is exactly `prefix`. */
  readonly exact?: boolean;
}

/** Readers skip kinds that they do not know: most need `put`, `delete` and `synced` only. */
export type WatchEvent =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: Buffer;
      readonly revision: bigint;
    }
  | { readonly kind: "delete"; readonly key: string; readonly revision: bigint }
  /** Everything that was there when the watch began has been delivered. Comes exactly once. */
  | { readonly kind: "synced"; readonly revision: bigint }
  /** The timeline is interrupted; it goes on by itself. Comes once for each interruption. */
  | { readonly kind: "disconnected"; readonly reason: Error }
  /**
   * The timeline goes on. Events up to `revision` happened while nobody listened: they are true,
   * but they do not prove that their writer lives now.
   */
  | { readonly kind: "resumed"; readonly revision: bigint }
  /** A key that is there but is not delivered: too many keys, or a value beyond any limit. */
  | { readonly kind: "refused"; readonly key: string; readonly reason: MeshError };

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
  watch(target: string | WatchTarget, signal: AbortSignal): AsyncIterable<readonly WatchEvent[]>;
}

export type StoreOperation =
  | { readonly kind: "put"; readonly key: string; readonly value: Buffer }
  | { readonly kind: "delete"; readonly key: string };

export interface WritableStore extends ReadableStore {
  /**
   * Writes in transactions of bounded size, a few of them in flight; keys of one call must be
   * distinct. Canaries and the heartbeat in a call are written after everything else in it,
   * because they vouch for it. Puts are attached to leases of at most 1,000 keys, kept alive
   * while the store is open. Resolves with the highest revision written.
   */
  commit(operations: readonly StoreOperation[], signal: AbortSignal): Promise<bigint>;
  /** Deletes everything below a prefix. */
  deletePrefix(prefix: string, signal: AbortSignal): Promise<void>;
  /** Keys whose lease was lost, in batches; whoever wrote them writes them again. */
  lostKeys(signal: AbortSignal): AsyncIterable<readonly string[]>;
  /**
   * How many lost keys have been neither written nor deleted since (canaries and the heartbeat
   * do not count). While it is not 0 this writer must vouch for nothing.
   */
  lostCount(): number;
}

/** The most keys that a watch remembers when its reader names no limit. */
export const WATCH_MAX_KEYS = 1_000_000;

export function watchTargetFrom(target: string | WatchTarget): WatchTarget {
  return typeof target === "string" ? { prefix: target, maxKeys: WATCH_MAX_KEYS } : target;
}
