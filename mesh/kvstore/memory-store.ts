// The store in memory, for tests and simulations: one `MemoryEtcd` is the etcd, and every store
// opened on it is one connection that can be cut. Passes the same contract as the etcd store;
// its faults (cut, compact, wipe, lost leases) are what a real etcd and its network can do.
import { throwIfAborted } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { Condition } from "./condition.ts";
import { advancePin, type EtcdPin } from "./etcd-pin.ts";
import { leaseClassOf } from "./lease-book.ts";
import {
  watchTargetFrom,
  type StoreEntry,
  type StoreOperation,
  type WatchEvent,
  type WatchTarget,
  type WritableStore,
} from "./store.ts";

/** Entries in a batch, as small as pages and watch responses can be. */
const BATCH_ENTRIES = 100;
/** Changes kept for watches that resume; older ones are compacted. */
const HISTORY_MAX_CHANGES = 10_000;

interface Change {
  readonly key: string;
  /** undefined: the key was deleted. */
  readonly value: Buffer | undefined;
  readonly revision: bigint;
}

export class MemoryEtcd {
  readonly condition = new Condition();
  #entries = new Map<string, StoreEntry>();
  #history: Change[] = [];
  #compacted = 0n;
  #clusterId = 1;
  #revision = 1n;

  get pin(): EtcdPin {
    return { clusterId: String(this.#clusterId), revision: this.#revision };
  }

  get compactedRevision(): bigint {
    return this.#compacted;
  }

  entries(target: WatchTarget): StoreEntry[] {
    return [...this.#entries.values()]
      .filter(({ key }) => matches(target, key))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** What happened behind `revision`, oldest first. */
  changesAfter(revision: bigint, target: WatchTarget): Change[] {
    return this.#history.filter(
      (change) => change.revision > revision && matches(target, change.key),
    );
  }

  apply(operations: readonly StoreOperation[]): bigint {
    this.#revision++;
    for (const operation of operations) {
      const { key } = operation;
      if (operation.kind === "put") {
        const value = Buffer.from(operation.value);
        this.#entries.set(key, { key, value, revision: this.#revision });
        this.#history.push({ key, value, revision: this.#revision });
      } else if (this.#entries.delete(key))
        this.#history.push({ key, value: undefined, revision: this.#revision });
    }
    while (this.#history.length > HISTORY_MAX_CHANGES) {
      this.#compacted = this.#history.shift()?.revision ?? this.#compacted;
    }
    this.condition.notify();
    return this.#revision;
  }

  /** Fault: forgets all history. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history = [];
  }

  /** Fault: an empty etcd in its place, with another id or, `sameId`, with the same one. */
  wipe(options: { sameId?: boolean } = {}): void {
    this.#entries = new Map();
    this.#history = [];
    this.#compacted = 0n;
    this.#revision = 1n;
    if (options.sameId !== true) this.#clusterId++;
    this.condition.notify();
  }
}

export interface MemoryStore extends WritableStore {
  /** Fault: nothing goes through until `reconnect`. */
  disconnect(): void;
  reconnect(): void;
  /** Fault: etcd ends the leases of these keys, or of everything this store has written. */
  expireLeases(keys?: readonly string[]): void;
  close(): void;
}

export function createMemoryStore(etcd: MemoryEtcd): MemoryStore {
  const lifetime = new AbortController();
  const written = new Set<string>();
  const lost = new Set<string>();
  let losses = 0;
  let connected = true;

  const requireConnection = (signal: AbortSignal): void => {
    throwIfAborted(signal);
    throwIfAborted(lifetime.signal);
    if (!connected) throw new MeshError("unavailable", "Cannot reach the store: it is cut off");
  };
  const scoped = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, lifetime.signal]);
  const forget = (key: string): void => {
    written.delete(key);
    lost.delete(key);
  };

  return {
    async get(key, signal) {
      requireConnection(signal);
      return etcd.entries({ prefix: key, maxKeys: 1, exact: true })[0];
    },
    async *list(prefix, signal) {
      requireConnection(signal);
      const entries = etcd.entries(watchTargetFrom(prefix));
      for (const page of chunks(entries)) {
        requireConnection(signal);
        yield page;
      }
    },
    watch: (target, signal) =>
      watchMemory(
        { etcd, target: watchTargetFrom(target), connected: () => connected },
        scoped(signal),
      ),
    async commit(operations, signal) {
      requireConnection(signal);
      const revision = etcd.apply(operations);
      for (const { kind, key } of operations) {
        forget(key);
        if (kind === "put") written.add(key);
      }
      return revision;
    },
    async deletePrefix(prefix, signal) {
      requireConnection(signal);
      const doomed = etcd.entries(watchTargetFrom(prefix));
      etcd.apply(doomed.map(({ key }) => ({ kind: "delete", key })));
      for (const key of [...written, ...lost]) if (key.startsWith(prefix)) forget(key);
    },
    async *lostKeys(signal) {
      const inner = scoped(signal);
      let seen = 0;
      while (!inner.aborted) {
        // Rejects only when the signal aborts, which ends the loop.
        await etcd.condition.until(() => losses > seen && lost.size > 0, inner).catch(() => {});
        if (inner.aborted) return;
        seen = losses;
        yield [...lost];
      }
    },
    lostCount: () => [...lost].filter((key) => leaseClassOf(key) === "data").length,
    disconnect() {
      connected = false;
      etcd.condition.notify();
    },
    reconnect() {
      connected = true;
      etcd.condition.notify();
    },
    expireLeases(keys = [...written]) {
      for (const key of keys) {
        written.delete(key);
        lost.add(key);
      }
      losses++;
      etcd.apply(keys.map((key) => ({ kind: "delete", key })));
    },
    close: () => lifetime.abort(),
  };
}

async function* watchMemory(
  options: { etcd: MemoryEtcd; target: WatchTarget; connected: () => boolean },
  signal: AbortSignal,
): AsyncGenerator<readonly WatchEvent[]> {
  const { etcd, target, connected } = options;
  const known = new Map<string, bigint>();
  let pin: EtcdPin | undefined;
  let synced = false;
  let told = true;
  while (!signal.aborted) {
    if (!connected()) {
      if (told) yield [{ kind: "disconnected", reason: new MeshError("unavailable", "Cut off") }];
      told = false;
      await waitFor(etcd, connected, signal);
      continue;
    }
    const now = advancePin(pin, etcd.pin);
    if (!told) yield [{ kind: "resumed", revision: now.revision }];
    told = true;
    const listed = pin === undefined || pin.revision < etcd.compactedRevision;
    const events = listed
      ? differences({ entries: etcd.entries(target), known, target, revision: now.revision })
      : etcd
          .changesAfter(pin?.revision ?? 0n, target)
          .flatMap((change) => tell(change, { known, target }));
    pin = now;
    for (const batch of chunks(events)) {
      if (signal.aborted) return;
      yield batch;
    }
    if (!synced) yield [{ kind: "synced", revision: now.revision }];
    synced = true;
    await waitFor(etcd, () => !connected() || !samePin(etcd.pin, now), signal);
  }
}

/** A list against what the reader has been told of. */
function differences(options: {
  entries: readonly StoreEntry[];
  known: Map<string, bigint>;
  target: WatchTarget;
  revision: bigint;
}): WatchEvent[] {
  const { known, target } = options;
  const events: WatchEvent[] = [];
  // Keys that the reader knows keep their place, whatever stands before them now.
  let room = target.maxKeys - known.size;
  const present = new Set(
    options.entries.filter(({ key }) => known.has(key) || room-- > 0).map(({ key }) => key),
  );
  for (const { key, value, revision } of options.entries) {
    if (!present.has(key)) events.push(refused(key, target));
    else if (known.get(key) !== revision) events.push({ kind: "put", key, value, revision });
    if (present.has(key)) known.set(key, revision);
  }
  for (const key of known.keys()) {
    if (present.has(key)) continue;
    known.delete(key);
    events.push({ kind: "delete", key, revision: options.revision });
  }
  return events;
}

function tell(
  { key, value, revision }: Change,
  { known, target }: { known: Map<string, bigint>; target: WatchTarget },
): WatchEvent[] {
  if (value === undefined) return known.delete(key) ? [{ kind: "delete", key, revision }] : [];
  if (known.size >= target.maxKeys && !known.has(key)) return [refused(key, target)];
  known.set(key, revision);
  return [{ kind: "put", key, value, revision }];
}

function refused(key: string, { prefix, maxKeys }: WatchTarget): WatchEvent {
  const reason = `Cannot read all of "${prefix}": it holds more than ${maxKeys} keys`;
  return { kind: "refused", key, reason: new MeshError("resource_exhausted", reason) };
}

/** Resolves as well when the signal aborts: the caller's loop looks at it. */
async function waitFor(etcd: MemoryEtcd, holds: () => boolean, signal: AbortSignal): Promise<void> {
  await etcd.condition.until(holds, signal).catch(() => {});
}

function matches({ prefix, exact }: WatchTarget, key: string): boolean {
  return exact === true ? key === prefix : key.startsWith(prefix);
}

function samePin(a: EtcdPin, b: EtcdPin): boolean {
  return a.clusterId === b.clusterId && a.revision === b.revision;
}

function* chunks<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += BATCH_ENTRIES)
    yield items.slice(start, start + BATCH_ENTRIES);
}
