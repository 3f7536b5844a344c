// One connected peer: its session, the kinds that are mirrored from it, and the single keys that
// introduce it to our own agents. Cache and connection have separate lives: the cache is served
// from the first moment, connected or not, and a connection that ends leaves it as it is.
//
//   adopt our cache ─► serve it ┬──────────────────────────────────────────────► (removed)
//                               └─ connect ─► config ─► accepted ─► session ─┐
//                                    ▲           └─ refused: told, tried again│
//                                    └──── new peer file, other id ◄──────────┘
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { isMeshError, MeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { runTasks } from "../../mesh/core/tasks.ts";
import {
  clusterConfigKey,
  TOMBOLO_CACHE_PREFIX,
  TOMBOLO_STATE_PREFIX,
  versionKey,
} from "../../mesh/kvstore/keys.ts";
import {
  cachedClusterConfig,
  encodeClusterConfig,
  parseClusterConfig,
  type ClusterConfig,
} from "../../mesh/kvstore/records/cluster-config.ts";
import { parseVersionRecord, type VersionRecord } from "../../mesh/kvstore/records/version.ts";
import { createClusterSession, type ClusterSession } from "../../mesh/kvstore/session.ts";
import type { ReadableStore, WritableStore } from "../../mesh/kvstore/store.ts";
import { bufferTable } from "../export/desired.ts";
import {
  createKindWriter,
  createSingleKeysWriter,
  type EtcdWriter,
  type KindWriter,
} from "../kind-writer.ts";
import type { PeerFile } from "../../mesh/connect/peer-file.ts";
import type { Hold } from "../drill/hold.ts";
import type { Claims } from "./claims.ts";
import type { ClusterIds } from "./cluster-ids.ts";
import { createMirroredKinds, type MirroredKindName, type ParseRecord } from "./kinds.ts";
import type { PeerEntry } from "./peer-directory.ts";
import { statusFromPeer, type PeerStatus } from "./peer-status.ts";

/** A store of the peer's etcd, with the peer's certificates; closed by whoever opened it. */
export type OpenPeerStore = (peer: string, file: PeerFile) => ReadableStore & { close(): void };

export interface PeerMirrorOptions {
  readonly own: ClusterIdentity;
  readonly ownStore: WritableStore;
  readonly openPeerStore: OpenPeerStore;
  readonly claims: Claims;
  readonly clusterIds: ClusterIds;
  /** Resolves when everything of our own is claimed: no peer is believed before. */
  readonly ownClaimsReady: (signal: AbortSignal) => Promise<void>;
  /** While a drill holds them, there are no sessions; caches stay as they are. */
  readonly sessionsHold?: Hold | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface PeerMirror {
  /** Takes over what our cache holds of the peer; once, before `run`. */
  adopt(signal: AbortSignal): Promise<void>;
  /** Serves the cache and keeps it current. Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Another peer file: the connection is made anew, the cache stays. */
  setEntry(entry: PeerEntry): void;
  reapply(keys: readonly string[]): void;
  /** Gives back claims and cluster id. To be called when `run` has ended for good. */
  release(): void;
  /** What our cache holds of one kind: name → value. Empty while the peer is not known. */
  records<T>(kind: MirroredKindName, parse: ParseRecord<T>): T[];
  status(): PeerStatus;
}

const RECONNECT_BASE_MS = 250;
/** A refused or unreachable peer is looked at again this often at the latest. */
const RECONNECT_CAP_MS = 15_000;
/** How soon a config is seen that the peer has not written yet, and a change of one. */
const CONFIG_POLL_MS = 1_000;
const CONFIG_CHECK_MS = 15_000;
/** Refused records are looked at again this often, if an address was given back meanwhile. */
const REVIEW_MS = 5_000;
/** Versions change with upgrades only. */
const VERSION_POLL_MS = 60_000;

export function createPeerMirror(first: PeerEntry, options: PeerMirrorOptions): PeerMirror {
  return new Peer(first, options);
}

class Peer implements PeerMirror {
  readonly #options: PeerMirrorOptions;
  readonly #name: string;
  readonly #log: Logger;
  readonly #single;
  /** The keys that our cache held when it was adopted, by kind; emptied by the first prune. */
  readonly #leftovers = new Map<string, Set<string>>();
  readonly #kinds;
  readonly #writers: ReadonlyMap<string, KindWriter>;
  readonly #singleWriter: EtcdWriter;
  #entry: PeerEntry;
  #session: ClusterSession | undefined;
  #identity: ClusterIdentity | undefined;
  #problem: Error | undefined;
  #release: VersionRecord = { version: "", leafEndpoints: [] };
  #reconnect = new AbortController();

  constructor(first: PeerEntry, options: PeerMirrorOptions) {
    const { ownStore: store, claims } = options;
    this.#options = options;
    this.#name = first.name;
    this.#entry = first;
    this.#log = options.log.with({ peer: first.name });
    this.#single = bufferTable(`cache/${first.name}`);
    this.#kinds = createMirroredKinds(first.name, claims);
    const common = { ...options, log: this.#log, store };
    this.#singleWriter = createSingleKeysWriter({ ...common, desired: this.#single });
    this.#writers = new Map(
      this.#kinds.map(({ kind, mirror, cachePrefix, cacheCanaryKey }) => [
        kind,
        createKindWriter({
          ...common,
          desired: mirror.desired,
          prefix: cachePrefix,
          canaryKey: cacheCanaryKey,
          leftovers: this.#leftoversOf(kind),
        }),
      ]),
    );
  }

  async adopt(signal: AbortSignal): Promise<void> {
    const { ownStore } = this.#options;
    const cluster = await this.#adoptIdentity(signal);
    for (const { kind, mirror, cachePrefix, cacheCanaryKey } of this.#kinds) {
      const found = this.#leftoversOf(kind);
      for await (const page of ownStore.list(cachePrefix, signal)) {
        for (const { key, value } of page) {
          found.add(key);
          if (cluster !== undefined) mirror.adopt(key.slice(cachePrefix.length), value, cluster);
        }
      }
      const canary = await ownStore.get(cacheCanaryKey, signal);
      if (canary !== undefined && cluster !== undefined) this.#writers.get(kind)?.takeOverCanary();
    }
  }

  /** Agents begin with the config: without it nobody reads the rest, so the rest may go. */
  async #adoptIdentity(signal: AbortSignal): Promise<ClusterIdentity | undefined> {
    const { ownStore, clusterIds } = this.#options;
    const config = await ownStore.get(clusterConfigKey(this.#name), signal);
    if (config === undefined) return undefined;
    const { cluster } = parseClusterConfig(this.#name, config.value);
    if (clusterIds.reserve(cluster.id, this.#name) !== this.#name) return undefined;
    this.#identity = cluster;
    this.#single.put(clusterConfigKey(this.#name), config.value);
    const version = await ownStore.get(cachedVersionKey(this.#name), signal);
    if (version !== undefined) this.#single.put(cachedVersionKey(this.#name), version.value);
    return cluster;
  }

  #leftoversOf(kind: string): Set<string> {
    const found = this.#leftovers.get(kind) ?? new Set<string>();
    this.#leftovers.set(kind, found);
    return found;
  }

  run(signal: AbortSignal): Promise<void> {
    return runTasks(
      [
        { name: "single keys", run: (inner) => this.#singleWriter.run(inner) },
        ...this.#kinds.map(({ kind, mirror }) => ({
          name: `mirror ${kind}`,
          run: (inner: AbortSignal) => mirror.run(inner),
        })),
        ...[...this.#writers].map(([kind, writer]) => ({
          name: `cache ${kind}`,
          run: (inner: AbortSignal) => writer.run(inner),
        })),
        { name: "connection", run: (inner) => this.#keepConnected(inner) },
        { name: "review", run: (inner) => this.#reviewClaims(inner) },
      ],
      signal,
    );
  }

  setEntry(entry: PeerEntry): void {
    if (entry.fingerprint === this.#entry.fingerprint) return;
    this.#log.info("Peer file has changed", { problem: entry.problem });
    // A broken file is reported; the connection that there is goes on with the last good one.
    this.#entry = entry.file === undefined ? { ...entry, file: this.#entry.file } : entry;
    if (entry.file !== undefined) this.#reconnect.abort();
  }

  reapply(keys: readonly string[]): void {
    this.#singleWriter.reapply(keys);
    for (const writer of this.#writers.values()) writer.reapply(keys);
  }

  release(): void {
    for (const { mirror } of this.#kinds) mirror.releaseClaims();
    this.#options.clusterIds.release(this.#name);
  }

  records<T>(kind: MirroredKindName, parse: ParseRecord<T>): T[] {
    const cluster = this.#identity;
    const found = this.#kinds.find((item) => item.kind === kind);
    if (cluster === undefined || found === undefined) return [];
    const { mirror, cachePrefix } = found;
    return [...mirror.desired.entries()].map(([key, value]) =>
      parse(key.slice(cachePrefix.length), value, cluster),
    );
  }

  status(): PeerStatus {
    return statusFromPeer({
      entry: this.#entry,
      session: this.#session?.status(),
      identity: this.#identity,
      problem: this.#problem,
      ...this.#release,
      nowMs: this.#options.clock.monotonicMs(),
      kinds: this.#kinds.map(({ kind, mirror, session }) => ({
        kind,
        prefix: session.prefix,
        optional: session.optional === true,
        mirror: mirror.status(),
        writer: this.#writers.get(kind)?.status(),
        read: mirror.table.synced,
      })),
    });
  }

  async #keepConnected(signal: AbortSignal): Promise<void> {
    const { clock, random, ownClaimsReady, sessionsHold } = this.#options;
    const backoff = createBackoff({
      baseMs: RECONNECT_BASE_MS,
      capMs: RECONNECT_CAP_MS,
      random,
    });
    await ownClaimsReady(signal);
    while (!signal.aborted) {
      if (sessionsHold?.active === true) {
        this.#problem = new MeshError("aborted", "A drill has cut the sessions with all peers");
        await sessionsHold.over(signal);
        backoff.reset();
        continue;
      }
      this.#reconnect = new AbortController();
      const cut = sessionsHold === undefined ? [] : [sessionsHold.begun()];
      const attempt = AbortSignal.any([signal, this.#reconnect.signal, ...cut]);
      try {
        await this.#connect(attempt, () => backoff.reset());
      } catch (error) {
        if (signal.aborted) return;
        if (!attempt.aborted) {
          this.#problem = error instanceof Error ? error : new Error(String(error));
          this.#log.warn("Peer is not connected", { reason: messageFromError(error) });
        }
      }
      // A new peer file is tried at once; its abort only cuts the pause short.
      await clock.sleep(backoff.nextMs(), attempt).catch(() => {});
    }
  }

  async #connect(signal: AbortSignal, onAccepted: () => void): Promise<void> {
    const { file, problem } = this.#entry;
    if (file === undefined) throw new MeshError("invalid_argument", problem);
    const store = this.#options.openPeerStore(this.#name, file);
    try {
      const config = await this.#readConfig(store, signal);
      this.#accept(config);
      onAccepted();
      this.#problem = undefined;
      const session = this.#createSession(store, config);
      await runTasks(
        [
          { name: "session", run: (inner) => session.run(inner) },
          { name: "config", run: (inner) => this.#followConfig({ store, config }, inner) },
          { name: "version", run: (inner) => this.#followVersion(store, inner) },
        ],
        signal,
      );
    } finally {
      store.close();
    }
  }

  async #readConfig(store: ReadableStore, signal: AbortSignal): Promise<ClusterConfig> {
    const { clock } = this.#options;
    const key = clusterConfigKey(this.#name);
    for (;;) {
      const entry = await store.get(key, signal);
      if (entry !== undefined) return parseClusterConfig(this.#name, entry.value);
      this.#problem = new MeshError(
        "not_found",
        `Cannot find "${key}" in the peer's etcd: it has not described itself yet, or has another name`,
      );
      await clock.sleep(CONFIG_POLL_MS, signal);
    }
  }

  /** Throws `conflict` for a peer that must not be mirrored; nothing of it has been read by then. */
  #accept(config: ClusterConfig): void {
    const { own, clusterIds } = this.#options;
    const { cluster, capabilities } = config;
    const refuse = (reason: string): MeshError =>
      new MeshError("conflict", `Cannot mirror cluster "${this.#name}": ${reason}`);
    if (this.#name === own.name) throw refuse("it has our own name");
    if (capabilities.cached) throw refuse("its etcd only holds a mirrored copy of it");
    if (cluster.maxConnectedClusters !== own.maxConnectedClusters) {
      const widths = `${cluster.maxConnectedClusters} clusters, ours for ${own.maxConnectedClusters}`;
      throw refuse(`its identities are laid out for a mesh of ${widths}`);
    }
    const holder = clusterIds.reserve(cluster.id, this.#name);
    if (holder !== this.#name) throw refuse(`its id ${cluster.id} is that of "${holder}"`);
    this.#single.put(
      clusterConfigKey(this.#name),
      encodeClusterConfig(cachedClusterConfig(config)),
    );
  }

  #createSession(store: ReadableStore, { cluster }: ClusterConfig): ClusterSession {
    const { clock, random } = this.#options;
    const session = createClusterSession({
      cluster: this.#name,
      expectedId: cluster.id,
      store,
      kinds: this.#kinds.map((kind) => kind.session),
      clock,
      random,
      log: this.#log,
    });
    // Another id under the same name is another cluster: nothing of the former one is true.
    if (this.#identity !== undefined && this.#identity.id !== cluster.id) session.drain();
    this.#identity = cluster;
    this.#session = session;
    return session;
  }

  /** Ends the connection when the peer describes itself in another way. */
  async #followConfig(
    known: { store: ReadableStore; config: ClusterConfig },
    signal: AbortSignal,
  ): Promise<void> {
    const before = encodeClusterConfig(known.config);
    while (!signal.aborted) {
      await this.#options.clock.sleep(CONFIG_CHECK_MS, signal);
      const entry = await known.store.get(clusterConfigKey(this.#name), signal).catch(() => {
        // The session tells about connections; this only looks for changes.
      });
      if (entry === undefined) continue;
      const config = encodeClusterConfig(parseClusterConfig(this.#name, entry.value));
      if (!config.equals(before)) {
        throw new MeshError(
          "conflict",
          `Cannot go on with "${this.#name}": its config has changed`,
        );
      }
    }
  }

  async #followVersion(store: ReadableStore, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const entry = await store.get(versionKey(this.#name), signal);
        if (entry !== undefined) {
          this.#release = parseVersionRecord(this.#name, entry.value);
          this.#single.put(cachedVersionKey(this.#name), entry.value);
        }
      } catch (error) {
        // Cilium members have no such key and forbid the look: they go without a version.
        if (isMeshError(error, "aborted")) throw error;
      }
      await this.#options.clock.sleep(VERSION_POLL_MS, signal);
    }
  }

  async #reviewClaims(signal: AbortSignal): Promise<void> {
    const { clock, claims } = this.#options;
    let { releases, seizures } = claims;
    while (!signal.aborted) {
      await clock.sleep(REVIEW_MS, signal);
      const which = claims.seizures !== seizures ? "all" : "refused";
      if (which === "refused" && claims.releases === releases) continue;
      ({ releases, seizures } = claims);
      for (const { mirror } of this.#kinds) await mirror.review(which);
    }
  }
}

export function cachedVersionKey(peer: string): string {
  return versionKey(peer).replace(TOMBOLO_STATE_PREFIX, TOMBOLO_CACHE_PREFIX);
}
