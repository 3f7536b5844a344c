// One timeline of a prefix, whatever happens to the connection: list, watch from the revision
// behind it, resume, list again after compaction and deliver the difference (store.ts, `watch`).
// It remembers which keys it has told of, so that a second list yields only what differs.
//
//   list ──► watch ──► (interrupted) ──► watch from the last revision ──► …
//              │
//              └──► (compacted) ──► list, puts of changed and deletes of vanished keys ──► watch
import { createBackoff } from "../core/backoff.ts";
import { throwIfAborted, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { EtcdConnection } from "./etcd-connection.ts";
import { listPages, refusedForSize, type ListPage } from "./etcd-list.ts";
import { advancePin, type EtcdPin, type EtcdWitness } from "./etcd-pin.ts";
import type { StoreEntry, WatchEvent, WatchTarget } from "./store.ts";
import type { RawEvent, WatchStream } from "./watch-stream.ts";

const RETRY_BASE_MS = 100;
/** An etcd that comes back is found within this time. */
const RETRY_CAP_MS = 10_000;
/** Deletions found by a list are delivered in batches of this size. */
const DELETE_BATCH = 1_000;

export interface TimelineOptions {
  readonly connection: EtcdConnection;
  readonly stream: WatchStream;
  readonly witness: EtcdWitness;
  readonly target: WatchTarget;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export async function* watchTimeline(
  options: TimelineOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly WatchEvent[]> {
  const { clock, random } = options;
  const log = options.log.with({ prefix: options.target.prefix });
  const backoff = createBackoff({ baseMs: RETRY_BASE_MS, capMs: RETRY_CAP_MS, random });
  const timeline = new Timeline(options);
  let connected = true;
  while (!signal.aborted) {
    try {
      for await (const batch of timeline.run(signal)) {
        if (batch.length > 0) yield batch;
        if (!connected) log.debug("Watch goes on");
        connected = true;
        backoff.reset();
      }
      continue; // Compacted or lagging: go on at once.
    } catch (error) {
      if (signal.aborted || isMeshError(error, "cluster_changed")) {
        if (signal.aborted) return;
        throw error;
      }
      if (connected) {
        connected = false;
        log.debug("Watch is interrupted", { error }); // The connection has said so for all of them.
        timeline.interrupted = true;
        yield [{ kind: "disconnected", reason: asError(error) }];
      }
      // A message that is too large would be sent again and again: a list skips it.
      if (isMeshError(error, "resource_exhausted") || isMeshError(error, "compacted"))
        timeline.relist();
    }
    try {
      await clock.sleep(backoff.nextMs(), signal);
    } catch (error) {
      if (isMeshError(error, "aborted")) return;
      throw error;
    }
  }
}

class Timeline {
  /** Set when the reader has been told so; the next contact is announced by `resumed`. */
  interrupted = false;
  readonly #options: TimelineOptions;
  /** Every key the reader has been told of, with its revision. */
  #known = new Map<string, bigint>();
  #pin: EtcdPin | undefined;
  /** The witness's epoch at the first contact. */
  #epoch: number | undefined;
  /** Where to watch from; undefined when a list comes first. */
  #resumeFrom: bigint | undefined;
  #synced = false;
  #full = false;
  /** How many more new keys the present list may add. */
  #room = 0;

  constructor(options: TimelineOptions) {
    this.#options = options;
  }

  relist(): void {
    this.#resumeFrom = undefined;
  }

  /** Ends when the watch has to be opened again. */
  async *run(signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    this.#epoch ??= this.#options.witness.epoch;
    if (this.#resumeFrom === undefined) yield* this.#list(signal);
    const startRevision = this.#resumeFrom;
    if (startRevision === undefined) return;
    const { target, stream, witness } = this.#options;
    const signals = stream.subscribe({ target, startRevision, epoch: this.#epoch }, signal);
    for (;;) {
      const next = await signals.next();
      if (next.done) {
        if (next.value === "compacted") this.relist();
        return;
      }
      const item = next.value;
      witness.saw(item.pin);
      if (item.kind !== "events") {
        this.#pin = advancePin(this.#pin, item.pin);
        if (item.kind === "progress") this.#resumeFrom = item.pin.revision + 1n;
        yield this.#resumedEvents(item.pin);
      } else {
        const batch = this.#apply(item.events);
        // Not from the header: while the watch catches up, that is ahead of its events.
        const last = item.events.at(-1);
        // The same revision again, because it may go on in the next response; what has been
        // delivered of it is known and is left out.
        if (last !== undefined) {
          this.#resumeFrom = last.revision;
          if (!last.deleted) witness.sawWrite(last.key, last.revision);
        }
        yield batch;
      }
    }
  }

  async *#list(signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    const { connection, target } = this.#options;
    const before = this.#known;
    const seen = new Map<string, bigint>();
    this.#full = false;
    // Keys that the reader knows keep their place, whatever stands before them now.
    this.#room = this.#options.target.maxKeys - before.size;
    let pin: EtcdPin | undefined;
    try {
      for await (const page of listPages(
        { connection, prefix: target.prefix, exact: target.exact, pin: this.#pin },
        signal,
      )) {
        pin = page.pin;
        yield [...this.#resumedEvents(page.pin), ...this.#pageEvents(page, { before, seen })];
      }
    } catch (error) {
      // Half a list proves no absence: what was known stays known.
      for (const [key, revision] of seen) before.set(key, revision);
      throw error;
    }
    throwIfAborted(signal);
    if (pin === undefined) throw new MeshError("internal", "Cannot list: no page came");
    this.#pin = pin;
    this.#known = seen;
    this.#resumeFrom = pin.revision + 1n;
    this.#options.witness.saw(pin);
    yield* vanished(before, seen, pin.revision);
    if (!this.#synced) {
      this.#synced = true;
      yield [{ kind: "synced", revision: pin.revision }];
    }
  }

  #pageEvents(
    page: ListPage,
    { before, seen }: { before: Map<string, bigint>; seen: Map<string, bigint> },
  ): WatchEvent[] {
    const events: WatchEvent[] = [];
    for (const key of page.skipped) events.push(this.#refused(key, refusedForSize(key)));
    for (const entry of page.entries) {
      if (!before.has(entry.key) && this.#room-- <= 0) {
        if (!this.#full) events.push(this.#refused(entry.key, this.#tooManyKeys()));
        this.#full = true;
        continue;
      }
      seen.set(entry.key, entry.revision);
      this.#options.witness.sawWrite(entry.key, entry.revision);
      if (before.get(entry.key) !== entry.revision) events.push(putFromEntry(entry));
    }
    return events;
  }

  #apply(events: readonly RawEvent[]): WatchEvent[] {
    const batch: WatchEvent[] = [];
    for (const { deleted, key, value, revision } of events) {
      const known = this.#known.get(key);
      if (known !== undefined && known >= revision) continue; // Delivered before the interruption.
      if (deleted) {
        if (this.#known.delete(key)) batch.push({ kind: "delete", key, revision });
      } else if (known === undefined && this.#known.size >= this.#options.target.maxKeys) {
        batch.push(this.#refused(key, this.#tooManyKeys()));
      } else {
        this.#known.set(key, revision);
        batch.push({ kind: "put", key, value, revision });
      }
    }
    return batch;
  }

  #resumedEvents(pin: EtcdPin): WatchEvent[] {
    if (!this.interrupted) return [];
    this.interrupted = false;
    return [{ kind: "resumed", revision: pin.revision }];
  }

  #refused(key: string, reason: MeshError): WatchEvent {
    return { kind: "refused", key, reason };
  }

  #tooManyKeys(): MeshError {
    const { prefix, maxKeys } = this.#options.target;
    return new MeshError(
      "resource_exhausted",
      `Cannot read all of "${prefix}": it holds more than ${maxKeys} keys`,
    );
  }
}

function* vanished(
  before: Map<string, bigint>,
  seen: Map<string, bigint>,
  revision: bigint,
): Generator<readonly WatchEvent[]> {
  let batch: WatchEvent[] = [];
  for (const key of before.keys()) {
    if (seen.has(key)) continue;
    batch.push({ kind: "delete", key, revision });
    if (batch.length < DELETE_BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function putFromEntry({ key, value, revision }: StoreEntry): WatchEvent {
  return { kind: "put", key, value, revision };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
