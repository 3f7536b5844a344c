// All peers: one mirror for each file in the directory, made and taken away at run time. A file
// that is gone at two looks is an explicit removal, and only that ever empties a peer's cache.
import { mkdir } from "node:fs/promises";
import { createBackoff } from "../../mesh/core/backoff.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { CLUSTER_CONFIG_PREFIX } from "../../mesh/kvstore/keys.ts";
import { createBell, watchDirectory } from "../directory-watch.ts";
import type { ConfiguredPeers } from "./configured-peers.ts";
import type { MirroredKindName, ParseRecord } from "./kinds.ts";
import { createPeerMirror, type PeerMirror, type PeerMirrorOptions } from "./peer.ts";
import { readPeerDirectory, type PeerEntry } from "./peer-directory.ts";
import type { PeerStatus } from "./peer-status.ts";
import { removeCachedPeer } from "./removal.ts";

export interface MirrorsOptions extends PeerMirrorOptions {
  /** `peers/` of the cluster directory. */
  readonly directory: string;
  readonly configuredPeers: Pick<ConfiguredPeers, "restore" | "configure">;
}

export interface Mirrors {
  /** Resolves when the signal aborts; caches stay as they are. */
  run(signal: AbortSignal): Promise<void>;
  reapply(keys: readonly string[]): void;
  status(): readonly PeerStatus[];
  /** What our cache holds of one kind, of all peers. */
  records<T>(kind: MirroredKindName, parse: ParseRecord<T>): Iterable<T>;
}

/** How long a missing file must be missing: longer than a rename takes. */
const SETTLE_MS = 200;
/** Finds what the kernel's notifications miss. */
const RESCAN_MS = 5_000;
const RETRY_BASE_MS = 250;
const RETRY_CAP_MS = 15_000;

interface Running {
  readonly peer: PeerMirror;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export function createMirrors(options: MirrorsOptions): Mirrors {
  return new PeerSet(options);
}

class PeerSet implements Mirrors {
  readonly #options: MirrorsOptions;
  readonly #log: Logger;
  readonly #running = new Map<string, Running>();
  readonly #removing = new Map<string, { stop: AbortController; ended: Promise<void> }>();
  readonly #missing = new Set<string>();
  #ourselves = false;
  #crash: ((error: unknown) => void) | undefined;

  constructor(options: MirrorsOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { directory, clock } = this.#options;
    const crashed = new Promise<never>((_, reject) => {
      this.#crash = reject;
    });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const bell = createBell();
    const watching = watchDirectory({ directory, bell, clock }, signal);
    try {
      await Promise.race([crashed, this.#followDirectory(bell, signal)]);
    } finally {
      // The parent's signal has ended them already, unless one of them has crashed.
      for (const { stop } of [...this.#running.values(), ...this.#removing.values()]) stop.abort();
      const ends = [...this.#running.values(), ...this.#removing.values()].map((one) => one.ended);
      await Promise.all(ends);
      if (signal.aborted) await watching;
    }
  }

  reapply(keys: readonly string[]): void {
    for (const { peer } of this.#running.values()) peer.reapply(keys);
  }

  *records<T>(kind: MirroredKindName, parse: ParseRecord<T>): Iterable<T> {
    for (const { peer } of this.#running.values()) yield* peer.records(kind, parse);
  }

  status(): PeerStatus[] {
    const removing = [...this.#removing.keys()].map((name) => ({ ...NO_PEER, name }));
    const running = [...this.#running.values()].map(({ peer }) => peer.status());
    const reason = "Cannot mirror the cluster itself: the peer file has our own name";
    const ourselves: PeerStatus = {
      ...NO_PEER,
      name: this.#options.own.name,
      state: "refused",
      reason,
    };
    return [...running, ...removing, ...(this.#ourselves ? [ourselves] : [])].sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
  }

  async #followDirectory(bell: ReturnType<typeof createBell>, signal: AbortSignal): Promise<void> {
    const { directory, clock } = this.#options;
    let first = true;
    while (!signal.aborted) {
      const entries = await this.#readEntries();
      if (entries === undefined) {
        this.#log.error("Peers directory cannot be read; all peers stay as they are", {
          directory,
        });
      } else {
        await (first ? this.#begin(entries, signal) : this.#follow(entries, signal));
        first = false;
      }
      await clock.sleep(SETTLE_MS, signal);
      if (this.#missing.size === 0) await bell.wait(RESCAN_MS, { clock, signal });
    }
  }

  /** Without a file of our own name: removing "that peer" would take our own state away. */
  async #readEntries(): Promise<ReadonlyMap<string, PeerEntry> | undefined> {
    const { directory, own } = this.#options;
    const entries = await readPeerDirectory(directory);
    this.#ourselves = entries?.has(own.name) === true;
    const others = [...(entries ?? [])].filter(([name]) => name !== own.name);
    return entries === undefined ? undefined : new Map(others);
  }

  /** What our cache holds speaks first: every peer's before any of them is heard anew. */
  async #begin(entries: ReadonlyMap<string, PeerEntry>, signal: AbortSignal): Promise<void> {
    const peers: [string, PeerMirror][] = [];
    for (const entry of entries.values()) {
      const peer = createPeerMirror(entry, this.#options);
      await this.#persist(`adopt ${entry.name}`, () => peer.adopt(signal), signal);
      peers.push([entry.name, peer]);
    }
    await this.#options.configuredPeers.restore(entries.keys());
    for (const [name, peer] of peers) this.#start(name, { peer, signal });
    this.#tellConfigured();
    for (const name of await this.#persist("list", () => this.#cachedPeers(signal), signal)) {
      if (!entries.has(name)) this.#remove(name, signal);
    }
  }

  async #follow(entries: ReadonlyMap<string, PeerEntry>, signal: AbortSignal): Promise<void> {
    for (const entry of entries.values()) {
      this.#missing.delete(entry.name);
      const running = this.#running.get(entry.name);
      if (running !== undefined) running.peer.setEntry(entry);
      else await this.#add(entry, signal);
    }
    for (const name of this.#running.keys()) {
      if (entries.has(name)) continue;
      if (this.#missing.delete(name)) await this.#stopAndRemove(name, signal);
      else this.#missing.add(name);
    }
  }

  async #add(entry: PeerEntry, signal: AbortSignal): Promise<void> {
    const removing = this.#removing.get(entry.name);
    removing?.stop.abort();
    await removing?.ended;
    const peer = createPeerMirror(entry, this.#options);
    await this.#persist(`adopt ${entry.name}`, () => peer.adopt(signal), signal);
    this.#start(entry.name, { peer, signal });
    this.#tellConfigured();
  }

  #tellConfigured(): void {
    this.#options.configuredPeers.configure(this.#running.keys());
  }

  #start(name: string, { peer, signal }: { peer: PeerMirror; signal: AbortSignal }): void {
    this.#log.info("Peer is mirrored", { peer: name });
    const stop = new AbortController();
    const ended = peer
      .run(AbortSignal.any([signal, stop.signal]))
      .catch((error: unknown) => this.#crash?.(error));
    this.#running.set(name, { peer, stop, ended });
  }

  async #stopAndRemove(name: string, signal: AbortSignal): Promise<void> {
    const running = this.#running.get(name);
    running?.stop.abort();
    await running?.ended;
    running?.peer.release();
    this.#running.delete(name);
    this.#tellConfigured();
    this.#remove(name, signal);
  }

  #remove(name: string, signal: AbortSignal): void {
    this.#log.info("Peer is removed", { peer: name });
    const stop = new AbortController();
    const scope = AbortSignal.any([signal, stop.signal]);
    const removal = { ...this.#options, store: this.#options.ownStore };
    const ended = this.#persist(
      `remove ${name}`,
      () => removeCachedPeer(name, removal, scope),
      scope,
    )
      .catch(() => {}) // Cut off by a return of the peer or by the end of everything.
      .finally(() => this.#removing.delete(name));
    this.#removing.set(name, { stop, ended });
  }

  async #cachedPeers(signal: AbortSignal): Promise<string[]> {
    const names: string[] = [];
    for await (const page of this.#options.ownStore.list(CLUSTER_CONFIG_PREFIX, signal)) {
      names.push(...page.map(({ key }) => key.slice(CLUSTER_CONFIG_PREFIX.length)));
    }
    return names.filter((name) => name !== this.#options.own.name);
  }

  /** Until it succeeds: our own etcd may be starting. Rejects only when the signal aborts. */
  async #persist<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, random } = this.#options;
    const backoff = createBackoff({ baseMs: RETRY_BASE_MS, capMs: RETRY_CAP_MS, random });
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) throw error;
        this.#log.warn("Own etcd does not answer yet", { what, reason: messageFromError(error) });
        await clock.sleep(backoff.nextMs(), signal);
      }
    }
  }
}

const NO_PEER: PeerStatus = {
  name: "",
  id: 0,
  state: "removing",
  reason: "",
  endpoints: [],
  heartbeatAgeSeconds: -1,
  reconnections: 0,
  kinds: [],
  synced: false,
  version: "",
  leafEndpoints: [],
};
