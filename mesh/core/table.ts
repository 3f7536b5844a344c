// State as tables. A table is a keyed set of immutable rows with a coalescing change feed: a
// reader learns which keys moved and looks up what they are now. One owner writes, all may read.
//
// A slow reader costs one set of keys, never a queue of events: what it has not looked at yet
// is merged. That is the design, and why no feed can overflow.

export interface Table<T> {
  readonly name: string;
  readonly size: number;
  /** Whether the owner has seen its whole source once; nothing may be pruned before that. */
  readonly synced: boolean;
  get(key: string): T | undefined;
  entries(): IterableIterator<[string, T]>;
  /**
   * Keys that changed, in batches. The first batch holds every key there is; a batch may be
   * empty when only `synced` has changed. Ends when the signal is aborted.
   */
  changes(signal: AbortSignal): AsyncIterable<Iterable<string>>;
}

export interface WritableTable<T> extends Table<T> {
  /** Returns whether the table changed; an equal row (by `equals`) does not. */
  put(key: string, row: T): boolean;
  delete(key: string): boolean;
  markSynced(): void;
}

export interface TableOptions<T> {
  readonly name: string;
  /** When two rows count as the same; identity if left out. */
  readonly equals?: (a: T, b: T) => boolean;
}

export function createTable<T>(options: TableOptions<T>): WritableTable<T> {
  const rows = new Map<string, T>();
  const feeds = new Set<ChangeFeed>();
  const equals = options.equals ?? Object.is;
  let synced = false;

  const touch = (key: string): void => {
    for (const feed of feeds) feed.add(key);
  };

  return {
    name: options.name,
    get size() {
      return rows.size;
    },
    get synced() {
      return synced;
    },
    get: (key) => rows.get(key),
    entries: () => rows.entries(),
    changes: (signal) => {
      const feed = new ChangeFeed(() => [...rows.keys()]);
      feeds.add(feed);
      return feed.batches(signal, () => feeds.delete(feed));
    },
    put(key, row) {
      const current = rows.get(key);
      if (current !== undefined && equals(current, row)) return false;
      rows.set(key, row);
      touch(key);
      return true;
    },
    delete(key) {
      if (!rows.delete(key)) return false;
      touch(key);
      return true;
    },
    markSynced() {
      if (synced) return;
      synced = true;
      for (const feed of feeds) feed.wake();
    },
  };
}

/** Resolves once the table is synced, or when the signal is aborted. */
export async function tableSynced<T>(table: Table<T>, signal: AbortSignal): Promise<void> {
  if (table.synced) return;
  const done = new AbortController();
  for await (const _ of table.changes(AbortSignal.any([signal, done.signal]))) {
    if (table.synced) done.abort();
  }
}

class ChangeFeed {
  readonly #listAll: () => Iterable<string>;
  /** Undefined before the first batch, which lists all keys whatever has changed. */
  #keys: Set<string> | undefined;
  #pending = true;
  #wakeUp: (() => void) | undefined;

  constructor(listAll: () => Iterable<string>) {
    this.#listAll = listAll;
  }

  add(key: string): void {
    this.#keys?.add(key);
    this.wake();
  }

  wake(): void {
    if (this.#pending) return;
    this.#pending = true;
    this.#wakeUp?.();
  }

  async *batches(signal: AbortSignal, onEnd: () => void): AsyncGenerator<Iterable<string>> {
    const onAbort = (): void => this.#wakeUp?.();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!signal.aborted) {
        if (this.#pending) {
          const batch = this.#keys ?? this.#listAll();
          this.#keys = new Set();
          this.#pending = false;
          yield batch;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeUp = resolve;
          });
          this.#wakeUp = undefined;
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      onEnd();
    }
  }
}
