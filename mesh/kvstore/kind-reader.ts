// Reads one kind of a cluster's records into its table: behind the canary, validated, bounded.
// The rules by which an absent key is believed to be deleted are those of session.ts; here they
// are kept.
//
//   wait for canary ──► list ──► synced ──► changes ──► (another etcd) ──► cluster_changed
//                        ▲                     │
//                        └──── list again ◄────┘  a proof of life came while deletions were held
import type { ClusterIdentity } from "../core/cluster.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { Condition } from "./condition.ts";
import type { LifeSigns } from "./life-signs.ts";
import type { Rejections } from "./rejections.ts";
import type { SessionKind } from "./session-kind.ts";
import type { ReadableStore, WatchEvent } from "./store.ts";

export interface KindReaderOptions {
  readonly kind: SessionKind<unknown>;
  readonly store: ReadableStore;
  readonly clock: Clock;
  readonly signs: LifeSigns;
  /** Whether the canary is there, or none is to be expected. */
  readonly canaryPresent: () => boolean;
  readonly condition: Condition;
  /** Something that others wait for may have changed; notifies `condition` as well. */
  readonly changed: () => void;
  readonly rejections: Rejections;
}

/** When records were refused for lack of room, another list is worth its cost after this share
 * of the room has been freed. */
const RELIST_SHARE = 0.1;

export class KindReader {
  readonly kind: SessionKind<unknown>;
  readonly #options: KindReaderOptions;
  /** Why the watch does not run at the moment. */
  interruption: Error | undefined;
  /** The table holds what the last list said. False while the next one is under way. */
  listed = false;
  #seen = new Set<string>();
  /** Deletions are held back: how many proofs of life there were when that began. */
  #heldAtProofs: number | undefined;
  #overflowed = false;
  #deletesSinceList = 0;

  constructor(options: KindReaderOptions) {
    this.#options = options;
    this.kind = options.kind;
  }

  /** Resolves when the signal aborts; rejects with `cluster_changed`. */
  async run(cluster: ClusterIdentity, signal: AbortSignal): Promise<void> {
    const { condition, canaryPresent } = this.#options;
    try {
      while (!signal.aborted) {
        await condition.until(canaryPresent, signal);
        await this.#readOnce(cluster, signal);
      }
    } catch (error) {
      if (!isMeshError(error, "aborted")) throw error;
    }
  }

  /** One list and the changes behind it, until another list is due. */
  async #readOnce(cluster: ClusterIdentity, signal: AbortSignal): Promise<void> {
    const { store, kind, condition, changed } = this.#options;
    this.#begin();
    const again = new AbortController();
    const reading = AbortSignal.any([signal, again.signal]);
    const relist = condition
      .until(() => this.#relistIsDue(), reading)
      .then(
        () => again.abort(),
        () => {}, // Aborted: the reading has ended otherwise.
      );
    try {
      const target = { prefix: kind.prefix, maxKeys: kind.maxRecords };
      for await (const batch of store.watch(target, reading)) {
        // A batch that was under way when the reading ended is part of no list.
        if (reading.aborted) break;
        for (const event of batch) this.#handle(event, cluster);
        changed();
      }
    } finally {
      again.abort();
      await relist;
    }
  }

  #begin(): void {
    this.listed = false;
    this.#seen = new Set();
    this.#overflowed = false;
    this.#deletesSinceList = 0;
    this.#heldAtProofs = undefined;
    if (!this.#mayDelete()) this.#hold();
  }

  #handle(event: WatchEvent, cluster: ClusterIdentity): void {
    switch (event.kind) {
      case "put":
        this.#put(event, cluster);
        break;
      case "delete":
        this.#delete(this.#nameOf(event.key));
        break;
      case "synced":
        this.#settle();
        break;
      case "refused":
        this.#overflowed = true;
        if (!this.listed) this.#seen.add(this.#nameOf(event.key));
        this.#reject(event.reason.message);
        break;
      case "disconnected":
        this.interruption = event.reason;
        break;
      case "resumed":
        this.interruption = undefined;
        // What comes now happened while nobody listened, maybe while the writer was dead.
        if (!this.#mayDelete()) this.#hold();
        break;
    }
  }

  #put({ key, value }: { key: string; value: Buffer }, cluster: ClusterIdentity): void {
    const { kind } = this.#options;
    const name = this.#nameOf(key);
    // Also for a record that is refused: it is there, so its last good value stays.
    if (!this.listed) this.#seen.add(name);
    if (value.length > kind.maxValueBytes) {
      this.#reject(
        `${name.slice(0, 128)}: ${value.length} bytes, at most ${kind.maxValueBytes} are taken`,
      );
      return;
    }
    if (kind.table.size >= kind.maxRecords && kind.table.get(name) === undefined) {
      this.#overflowed = true;
      this.#reject(`${name.slice(0, 128)}: there are more than ${kind.maxRecords} records`);
      return;
    }
    try {
      kind.table.put(name, kind.parse(name, value, cluster));
    } catch (error) {
      this.#reject(messageFromError(error));
    }
  }

  #delete(name: string): void {
    this.#deletesSinceList++;
    if (!this.listed) this.#seen.delete(name);
    if (this.#mayDelete()) this.#options.kind.table.delete(name);
    else this.#hold();
  }

  /** The list is complete: what it did not name is gone, if that may be believed. */
  #settle(): void {
    const { table } = this.#options.kind;
    // With too many keys the list was not whole: what it left out need not be gone.
    if (this.#overflowed) this.#seen.clear();
    else if (this.#mayDelete()) {
      for (const [name] of table.entries()) if (!this.#seen.has(name)) table.delete(name);
    } else this.#hold();
    this.#seen = new Set();
    this.listed = true;
    this.interruption = undefined;
    table.markSynced();
  }

  /** Once held, always held until another list: what was left out cannot be told any more. */
  #mayDelete(): boolean {
    const { signs, clock, canaryPresent } = this.#options;
    return this.#heldAtProofs === undefined && signs.fresh(clock.monotonicMs()) && canaryPresent();
  }

  #hold(): void {
    this.#heldAtProofs ??= this.#options.signs.proofs;
  }

  #relistIsDue(): boolean {
    const { kind, signs, clock, canaryPresent } = this.#options;
    if (!this.listed || !canaryPresent()) return false;
    if (this.#overflowed && this.#deletesSinceList > kind.maxRecords * RELIST_SHARE) return true;
    return (
      this.#heldAtProofs !== undefined &&
      signs.proofs > this.#heldAtProofs &&
      signs.fresh(clock.monotonicMs())
    );
  }

  #nameOf(key: string): string {
    return key.slice(this.#options.kind.prefix.length);
  }

  #reject(reason: string): void {
    this.#options.rejections.add(this.#options.kind.prefix, reason);
  }
}
