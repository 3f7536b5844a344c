// Reading one cluster's exported state, from its own etcd (`state`) or from a mirrored copy
// (`cache`), into tables: config, canary gate, heartbeat, watches, validation, limits. What the
// reader may conclude from silence and absence is decided here (DESIGN.md, "When a deletion is
// believed") and nowhere else.
//
// The rules:
//
// 1. A PROOF OF LIFE is a heartbeat or a canary written while we listen (life-signs.ts). At the
//    first contact, with tables that were never filled, a canary that is simply there counts as
//    well: it runs out minutes before the keys that it vouches for (leases.ts), so no deletion
//    of the next two intervals can come from a lease. Without this, a reader that has just
//    connected would hold every deletion for up to a minute.
// 2. A deletion is believed when the last proof is at most two intervals old and the canary is
//    there. Leases run for many intervals, so such a deletion is the writer's own doing.
// 3. Any other deletion is HELD: the row stays, and at the next proof of life the prefix is
//    listed again and compared. A writer that comes back writes what its leases took away, then
//    its canaries, then its heartbeat (heartbeat.ts), so that list is whole.
// 4. What is delivered late after an interruption proves nothing, whatever it is. If no proof is
//    fresh when the connection comes back, rule 3 applies until the next one.
// 5. Another etcd, or one that lost revisions, ends the EPOCH: proofs and canaries are
//    forgotten, the tables are kept, and everything begins again at the canary gate. An empty
//    etcd has no canary, so it is waited for, not believed.
// 6. A config with another id means another cluster under the same name: the tables are emptied.
//    A config that is gone freezes the session, or drains it where its removal is how a cluster
//    is taken out of the mesh (an agent reading its own etcd); it is believed like a deletion.
import { createBackoff } from "../core/backoff.ts";
import type { ClusterId, ClusterIdentity } from "../core/cluster.ts";
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { createTable, type Table, type WritableTable } from "../core/table.ts";
import { runTasks } from "../core/tasks.ts";
import { Condition } from "./condition.ts";
import { clusterConfigKey, HEARTBEAT_KEY, syncedWatchPrefix } from "./keys.ts";
import { KindReader } from "./kind-reader.ts";
import { HEARTBEAT_INTERVAL_MS, LifeSigns } from "./life-signs.ts";
import { parseClusterConfig, type ClusterConfig } from "./records/cluster-config.ts";
import { Rejections, type Rejected } from "./rejections.ts";
import type { SessionKind } from "./session-kind.ts";
import type { ReadableStore } from "./store.ts";

export type SessionState =
  | { readonly kind: "connecting"; readonly attempt: number; readonly lastError: Error | undefined }
  | { readonly kind: "syncing"; readonly waitingFor: string }
  | { readonly kind: "ready" }
  /** Connected before, not now, or the writer is silent: the tables are frozen, not emptied. */
  | { readonly kind: "stale"; readonly reason: string };

export interface SessionStatus {
  readonly cluster: string;
  readonly state: SessionState;
  readonly config: ClusterIdentity | undefined;
  /** By local receive time, monotonic milliseconds; undefined before the first beat. */
  readonly lastHeartbeatMs: number | undefined;
  readonly reconnections: number;
  /** Records per prefix that were refused since the start, with the latest reasons. */
  readonly rejected: ReadonlyMap<string, Rejected>;
  readonly records: ReadonlyMap<string, number>;
}

export interface ClusterSessionOptions {
  readonly cluster: string;
  /** Another id is refused. Left out, the first id is taken, and a change of it drains. */
  readonly expectedId?: ClusterId | undefined;
  /** May serve other sessions as well; closing it is its owner's job. */
  readonly store: ReadableStore;
  readonly kinds: readonly SessionKind<unknown>[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly heartbeatIntervalMs?: number;
  /** See rule 6. */
  readonly drainOnConfigRemoval?: boolean;
}

export interface ClusterSession {
  /** Resolves when the signal aborts. The tables stay as they are. */
  run(signal: AbortSignal): Promise<void>;
  status(): SessionStatus;
  /** One row, keyed by the cluster's name, that follows `status().state`. */
  readonly states: Table<SessionState>;
  /** Empties the tables: the cluster has been removed. To be called when `run` has ended. */
  drain(): void;
}

const EPOCH_RETRY_BASE_MS = 100;
const EPOCH_RETRY_CAP_MS = 10_000;
/** More canaries than there are kinds of anything. */
const MAX_CANARIES = 1_000;

export function createClusterSession(options: ClusterSessionOptions): ClusterSession {
  const session = new Session(options);
  return {
    run: (signal) => session.run(signal),
    status: () => session.status(),
    states: session.states,
    drain: () => session.drain(),
  };
}

class Session {
  readonly states: WritableTable<SessionState>;
  readonly #options: ClusterSessionOptions;
  readonly #log: Logger;
  readonly #condition = new Condition();
  readonly #signs: LifeSigns;
  readonly #rejections = new Rejections();
  readonly #readers: readonly KindReader[];
  #epoch = createEpoch();
  #identity: ClusterIdentity | undefined;
  #lastBeatMs: number | undefined;
  #everReady = false;
  #attempts = 0;
  #reconnections = 0;

  constructor(options: ClusterSessionOptions) {
    this.#options = options;
    this.#log = options.log.with({ cluster: options.cluster });
    this.#signs = new LifeSigns(options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS);
    this.states = createTable<SessionState>({ name: "session-state", equals: sameState });
    this.#readers = options.kinds.map(
      (kind) =>
        new KindReader({
          ...options,
          kind,
          signs: this.#signs,
          condition: this.#condition,
          changed: () => this.#changed(),
          rejections: this.#rejections,
          canaryPresent: () =>
            (this.#epoch.config?.capabilities.syncedCanaries === false && kind.optional !== true) ||
            this.#epoch.canaries.has(kind.canaryKey),
        }),
    );
    this.#publish();
    this.states.markSynced();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const backoff = createBackoff({
      baseMs: EPOCH_RETRY_BASE_MS,
      capMs: EPOCH_RETRY_CAP_MS,
      random,
    });
    while (!signal.aborted) {
      try {
        await this.#runEpoch(signal, () => backoff.reset());
      } catch (error) {
        const cause = error instanceof Error ? error.cause : undefined;
        this.#log.warn("Session begins again", { error: cause ?? error });
        this.#reconnections++;
        if (isMeshError(cause, "cluster_changed")) this.#signs.forget();
      }
      // Rejects only when the signal aborts, which ends the loop.
      if (!signal.aborted) await clock.sleep(backoff.nextMs(), signal).catch(() => {});
    }
  }

  drain(): void {
    for (const { kind } of this.#readers)
      for (const [name] of kind.table.entries()) kind.table.delete(name);
  }

  status(): SessionStatus {
    return {
      cluster: this.#options.cluster,
      state: this.#state(),
      config: this.#identity,
      lastHeartbeatMs: this.#lastBeatMs,
      reconnections: this.#reconnections,
      rejected: this.#rejections.snapshot(),
      records: new Map(this.#readers.map(({ kind }) => [kind.prefix, kind.table.size])),
    };
  }

  async #runEpoch(signal: AbortSignal, onSynced: () => void): Promise<void> {
    this.#epoch = createEpoch();
    for (const reader of this.#readers) {
      reader.listed = false;
      reader.interruption = undefined;
    }
    await runTasks(
      [
        { name: "config", run: (inner) => this.#watchConfig(inner) },
        { name: "config-removal", run: (inner) => this.#settleConfigRemoval(inner) },
        { name: "canaries", run: (inner) => this.#watchCanaries(inner) },
        { name: "heartbeat", run: (inner) => this.#watchHeartbeat(inner) },
        { name: "kinds", run: (inner) => this.#readKinds(inner) },
        { name: "ticks", run: (inner) => this.#runTicks(inner, onSynced) },
      ],
      signal,
    );
  }

  async #watchConfig(signal: AbortSignal): Promise<void> {
    const { store, cluster } = this.#options;
    const target = { prefix: clusterConfigKey(cluster), maxKeys: 1, exact: true };
    for await (const batch of store.watch(target, signal)) {
      for (const event of batch) {
        if (event.kind === "put") this.#acceptConfig(event.value);
        else if (event.kind === "delete") this.#epoch.configHeldAtProofs = this.#signs.proofs;
        else if (event.kind === "synced") this.#epoch.configListed = true;
      }
      if (this.#epoch.configHeldAtProofs !== undefined && this.#fresh()) this.#removeConfig();
      this.#changed();
    }
  }

  /** A config that went while its writer was silent: looked for again at the next proof of life. */
  async #settleConfigRemoval(signal: AbortSignal): Promise<void> {
    const { store, cluster } = this.#options;
    for (;;) {
      await this.#condition.until(() => {
        const held = this.#epoch.configHeldAtProofs;
        return held !== undefined && this.#signs.proofs > held;
      }, signal);
      const proofs = this.#signs.proofs;
      try {
        const entry = await store.get(clusterConfigKey(cluster), signal);
        if (entry === undefined) this.#removeConfig();
        else this.#acceptConfig(entry.value);
      } catch (error) {
        if (signal.aborted) throw error;
        this.#log.debug("Config could not be read", { error });
        // The next proof of life is the next chance.
        this.#epoch.configHeldAtProofs = proofs;
      }
      this.#changed();
    }
  }

  #acceptConfig(value: Buffer): void {
    const { cluster, expectedId } = this.#options;
    this.#epoch.configHeldAtProofs = undefined;
    let config: ClusterConfig;
    try {
      config = parseClusterConfig(cluster, value);
      if (expectedId !== undefined && config.cluster.id !== expectedId)
        throw new MeshError(
          "conflict",
          `Cannot read cluster "${cluster}": its id is ${config.cluster.id}, want ${expectedId}`,
        );
    } catch (error) {
      this.#rejections.add(clusterConfigKey(cluster), messageFromError(error));
      this.#log.warn("Config of the cluster is refused", { error });
      // Another id is another cluster; nothing of it is read. Mere garbage changes nothing.
      if (isMeshError(error, "conflict")) this.#epoch.config = undefined;
      if (this.#epoch.config === undefined)
        this.#epoch.refusal = error instanceof Error ? error : undefined;
      return;
    }
    this.#epoch.refusal = undefined;
    if (!sameConfig(this.#epoch.config, config)) this.#epoch.config = config;
  }

  #removeConfig(): void {
    this.#epoch.configHeldAtProofs = undefined;
    this.#epoch.config = undefined;
    this.#log.info("Config of the cluster is gone");
    if (this.#options.drainOnConfigRemoval === true) {
      this.#identity = undefined;
      this.#everReady = false;
      this.drain();
    }
  }

  async #watchCanaries(signal: AbortSignal): Promise<void> {
    const { store, cluster, clock, kinds } = this.#options;
    const expected = new Set(kinds.map(({ canaryKey }) => canaryKey));
    const target = { prefix: syncedWatchPrefix(cluster), maxKeys: MAX_CANARIES };
    const live = new LiveFilter();
    // Rule 1: at the first contact there is nothing yet that could be deleted wrongly.
    const firstContact = kinds.every(({ table }) => !table.synced);
    for await (const batch of store.watch(target, signal)) {
      for (const event of batch) {
        const isLive = live.see(event);
        if (event.kind === "delete") this.#epoch.canaries.delete(event.key);
        if (event.kind !== "put" || !expected.has(event.key)) continue;
        this.#epoch.canaries.add(event.key);
        if (isLive || firstContact) this.#signs.proof(clock.monotonicMs());
      }
      this.#changed();
    }
  }

  async #watchHeartbeat(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    const target = { prefix: HEARTBEAT_KEY, maxKeys: 1, exact: true };
    const live = new LiveFilter();
    for await (const batch of store.watch(target, signal)) {
      for (const event of batch) {
        const isLive = live.see(event);
        if (event.kind === "put" && isLive) {
          this.#lastBeatMs = clock.monotonicMs();
          this.#signs.proof(this.#lastBeatMs);
        } else if (event.kind === "disconnected") {
          this.#epoch.interruption = event.reason;
          this.#attempts++;
        } else if (event.kind === "resumed" || event.kind === "synced") {
          this.#epoch.interruption = undefined;
          if (event.kind === "resumed") this.#reconnections++;
        }
      }
      this.#changed();
    }
  }

  async #readKinds(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#condition.until(() => this.#epoch.config !== undefined, signal);
      const config = this.#epoch.config;
      if (config === undefined) continue;
      this.#takeIdentity(config.cluster);
      const replaced = new AbortController();
      const reading = AbortSignal.any([signal, replaced.signal]);
      const readers = this.#readers.map((reader) => ({
        name: reader.kind.prefix,
        run: (inner: AbortSignal) => reader.run(config.cluster, inner),
      }));
      const until = this.#condition
        .until(() => this.#epoch.config !== config, reading)
        .then(
          () => replaced.abort(),
          () => {}, // The reading has ended otherwise.
        );
      try {
        await runTasks(readers, reading);
      } catch (error) {
        // Passed on as it is: the epoch looks at the code.
        throw error instanceof Error && error.cause !== undefined ? error.cause : error;
      } finally {
        replaced.abort();
        await until;
      }
    }
  }

  #takeIdentity(identity: ClusterIdentity): void {
    const known = this.#identity;
    this.#identity = identity;
    if (known === undefined) return;
    if (known.id === identity.id && known.maxConnectedClusters === identity.maxConnectedClusters)
      return;
    this.#log.warn("Id of the cluster has changed: its records are drained", {
      before: known.id,
      now: identity.id,
    });
    this.drain();
  }

  /** Notices the passing of time: silence, and pauses of this very process. */
  async #runTicks(signal: AbortSignal, onSynced: () => void): Promise<void> {
    const { clock } = this.#options;
    const tickMs = this.#signs.intervalMs / 4;
    let last = clock.monotonicMs();
    while (!signal.aborted) {
      await clock.sleep(tickMs, signal);
      const now = clock.monotonicMs();
      if (now - last > tickMs + this.#signs.intervalMs) {
        this.#log.warn("This process stood still", { ms: now - last });
        this.#signs.stalled(now);
      }
      last = now;
      if (this.#state().kind === "ready") onSynced();
      this.#changed();
    }
  }

  #fresh(): boolean {
    return this.#signs.fresh(this.#options.clock.monotonicMs());
  }

  #changed(): void {
    this.#condition.notify();
    this.#publish();
  }

  #publish(): void {
    const state = this.#state();
    if (state.kind === "ready") {
      this.#everReady = true;
      this.#attempts = 0;
    }
    this.states.put(this.#options.cluster, state);
  }

  #state(): SessionState {
    const { config, configListed, refusal } = this.#epoch;
    const interruption =
      this.#epoch.interruption ??
      this.#readers.find(
        ({ interruption: reason, kind }) => reason !== undefined && kind.optional !== true,
      )?.interruption;
    if (interruption !== undefined)
      return this.#everReady
        ? { kind: "stale", reason: `not connected: ${interruption.message}` }
        : { kind: "connecting", attempt: this.#attempts, lastError: interruption };
    const waitingFor = this.#waitingFor();
    if (refusal !== undefined && config === undefined)
      return { kind: "connecting", attempt: this.#attempts, lastError: refusal };
    if (!configListed && !this.#everReady)
      return { kind: "connecting", attempt: this.#attempts, lastError: undefined };
    if (waitingFor !== undefined)
      return this.#everReady
        ? { kind: "stale", reason: `waiting for ${waitingFor}` }
        : { kind: "syncing", waitingFor };
    if (!this.#fresh()) return { kind: "stale", reason: "no heartbeat of its writer" };
    return { kind: "ready" };
  }

  #waitingFor(): string | undefined {
    const { config, canaries, configListed } = this.#epoch;
    if (!configListed) return "an answer";
    if (config === undefined) return clusterConfigKey(this.#options.cluster);
    for (const { kind, listed } of this.#readers) {
      if (kind.optional === true) continue;
      if (config.capabilities.syncedCanaries && !canaries.has(kind.canaryKey))
        return kind.canaryKey;
      // A second list does not make the table worse than it was.
      if (!listed && !kind.table.synced) return kind.prefix;
    }
    return undefined;
  }
}

/** What has been learnt from one etcd; another one starts with nothing. */
interface Epoch {
  config: ClusterConfig | undefined;
  configListed: boolean;
  /** The config is gone, and the writer was silent: how many proofs there had been. */
  configHeldAtProofs: number | undefined;
  refusal: Error | undefined;
  readonly canaries: Set<string>;
  interruption: Error | undefined;
}

function createEpoch(): Epoch {
  return {
    config: undefined,
    configListed: false,
    configHeldAtProofs: undefined,
    refusal: undefined,
    canaries: new Set(),
    interruption: undefined,
  };
}

/** Tells what happens now from what is listed, or delivered late. */
class LiveFilter {
  #synced = false;
  #resumedAt = 0n;

  see(event: { kind: string; revision?: bigint }): boolean {
    if (event.kind === "synced") this.#synced = true;
    if (event.kind === "resumed") this.#resumedAt = event.revision ?? 0n;
    return this.#synced && (event.revision ?? 0n) > this.#resumedAt;
  }
}

function sameConfig(a: ClusterConfig | undefined, b: ClusterConfig): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}

function sameState(a: SessionState, b: SessionState): boolean {
  return (
    a.kind === b.kind &&
    (a.kind !== "syncing" || b.kind !== "syncing" || a.waitingFor === b.waitingFor) &&
    (a.kind !== "stale" || b.kind !== "stale" || a.reason === b.reason) &&
    (a.kind !== "connecting" || b.kind !== "connecting" || a.lastError === b.lastError)
  );
}
