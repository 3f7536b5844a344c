// Which clusters are connected: follows `cilium/cluster-config/` in our own etcd and keeps a
// session for each cluster in it. Removal of a cluster drains everything that came from it, so
// it is believed only when it was surely meant:
//
//   deleted while the writer's heartbeat is fresh       → removed
//   deleted before any heartbeat has been seen          → removed with the next heartbeat
//   deleted while the writer is silent (expired lease)  → frozen until it is listed again
//   missing from another etcd, or an emptied one        → frozen until it is listed again
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { isMeshError, messageFromError, MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";
import { CLUSTER_CONFIG_PREFIX } from "../../mesh/kvstore/keys.ts";
import { HEARTBEAT_INTERVAL_MS } from "../../mesh/kvstore/life-signs.ts";
import { parseClusterConfig } from "../../mesh/kvstore/records/cluster-config.ts";
import type { SessionStatus } from "../../mesh/kvstore/session.ts";
import type { ReadableStore } from "../../mesh/kvstore/store.ts";
import { createPeerSession, type OpenSession, type RunningSession } from "./cluster-session.ts";
import type { PeerIntent } from "./intent.ts";

export interface PeersOptions {
  readonly own: ClusterIdentity;
  readonly store: Pick<ReadableStore, "watch">;
  readonly open: OpenSession;
  /** When the writer of our etcd last gave a sign of life; monotonic. */
  readonly lastHeartbeatMs: () => number | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface PeerStatus {
  readonly cluster: ClusterIdentity;
  /** False while its config is missing and its removal is not believed. */
  readonly listed: boolean;
  readonly session: SessionStatus;
}

export interface Peers {
  /** Synced once the list of clusters has been read. */
  readonly table: Table<PeerIntent>;
  status(): readonly PeerStatus[];
  /** By cluster name: configs that are not believed, and why. */
  readonly refused: ReadonlyMap<string, string>;
  /** Resolves when the signal aborts; rejects when a session fails for good. */
  run(signal: AbortSignal): Promise<void>;
}

/** As many keys as the widest mesh has clusters, our own and some leftovers included. */
const MAX_CONFIGS = 1_024;
const RETRY_BASE_MS = 200;
const RETRY_CAP_MS = 10_000;
/** How often a removal that waits for a sign of life is looked at again. */
const REMOVAL_CHECK_MS = 1_000;
/** Two missed beats: the writer is taken for dead (reference §1.9). */
const HEARTBEAT_STALE_MS = 2 * HEARTBEAT_INTERVAL_MS;

interface Peer {
  readonly cluster: ClusterIdentity;
  readonly session: RunningSession;
  readonly end: AbortController;
  readonly done: Promise<void>;
  listed: boolean;
}

export function createPeers(options: PeersOptions): Peers {
  const { own, store, open, clock, random, log } = options;
  const table = createTable<PeerIntent>({ name: "peers" });
  const peers = new Map<string, Peer>();
  const refused = new Map<string, string>();
  /** Removals that wait for a sign of life, by cluster name. */
  const waiting = new Set<string>();

  function add(cluster: ClusterIdentity, run: RunContext): void {
    const { intent, session } = createPeerSession(cluster, open);
    const end = new AbortController();
    const done = session
      .run(AbortSignal.any([run.signal, end.signal]))
      .catch((error: unknown) => run.fail(error));
    peers.set(cluster.name, { cluster, session, end, done, listed: true });
    table.put(cluster.name, intent);
    log.info("Cluster is connected", { cluster: cluster.name, clusterId: cluster.id });
  }

  async function remove(name: string): Promise<void> {
    const peer = peers.get(name);
    if (peer === undefined) return;
    waiting.delete(name);
    peers.delete(name);
    table.delete(name);
    peer.end.abort();
    await peer.done;
    log.info("Cluster is no longer connected", { cluster: name });
  }

  async function onConfig(name: string, value: Buffer, run: RunContext): Promise<void> {
    waiting.delete(name);
    if (name === own.name) return;
    let cluster: ClusterIdentity;
    try {
      ({ cluster } = parseClusterConfig(name, value));
      checkConfig(cluster, own, peers.values());
      refused.delete(name);
    } catch (error) {
      refused.set(name, messageFromError(error));
      log.warn("Cluster config is refused", { cluster: name, error });
      return;
    }
    const known = peers.get(name);
    if (known !== undefined) {
      known.listed = true;
      if (known.cluster.id === cluster.id) return;
      log.warn("Cluster id has changed: draining", { cluster: name, clusterId: cluster.id });
      await remove(name);
    }
    add(cluster, run);
  }

  async function onDeleted(name: string): Promise<void> {
    refused.delete(name);
    const peer = peers.get(name);
    if (peer === undefined) return;
    peer.listed = false;
    const lastMs = options.lastHeartbeatMs();
    if (lastMs === undefined) waiting.add(name);
    else if (clock.monotonicMs() - lastMs <= HEARTBEAT_STALE_MS) await remove(name);
    else log.warn("Cluster config is gone but its writer is silent: frozen", { cluster: name });
  }

  async function watchOnce(run: RunContext): Promise<void> {
    const listed = new Set<string>();
    const target = { prefix: CLUSTER_CONFIG_PREFIX, maxKeys: MAX_CONFIGS };
    for await (const events of store.watch(target, run.signal)) {
      for (const event of events) {
        if (event.kind === "put") {
          const name = event.key.slice(CLUSTER_CONFIG_PREFIX.length);
          listed.add(name);
          await onConfig(name, event.value, run);
        } else if (event.kind === "delete") {
          await onDeleted(event.key.slice(CLUSTER_CONFIG_PREFIX.length));
        } else if (event.kind === "synced") {
          for (const [name, peer] of peers) peer.listed = listed.has(name);
          // An etcd without our own config has not been written yet: it lists nobody.
          if (listed.has(own.name)) table.markSynced();
        }
      }
      if (listed.has(own.name)) table.markSynced();
    }
  }

  async function watchForever(run: RunContext): Promise<void> {
    const backoff = createBackoff({ baseMs: RETRY_BASE_MS, capMs: RETRY_CAP_MS, random });
    while (!run.signal.aborted) {
      try {
        await watchOnce(run);
      } catch (error) {
        if (run.signal.aborted) return;
        // Another etcd: what it does not list is not thereby removed.
        log.warn("Watch of cluster configs starts anew", { error });
      }
      if (!(await sleep(clock, backoff.nextMs(), run.signal))) return;
    }
  }

  async function settleRemovals(run: RunContext): Promise<void> {
    while (await sleep(clock, REMOVAL_CHECK_MS, run.signal)) {
      if (waiting.size === 0 || options.lastHeartbeatMs() === undefined) continue;
      for (const name of waiting) await remove(name);
    }
  }

  return {
    table,
    refused,
    status: () =>
      [...peers.values()].map(({ cluster, listed, session }) => ({
        cluster,
        listed,
        session: session.status(),
      })),
    async run(signal) {
      const failed = new AbortController();
      const run: RunContext = {
        signal: AbortSignal.any([signal, failed.signal]),
        fail: (error) => {
          if (!signal.aborted) failed.abort(error);
        },
      };
      await Promise.all([watchForever(run), settleRemovals(run)]);
      await Promise.all([...peers.values()].map(({ done }) => done));
      if (failed.signal.aborted) throw failed.signal.reason;
    },
  };
}

interface RunContext {
  readonly signal: AbortSignal;
  readonly fail: (error: unknown) => void;
}

/** Throws `conflict` for a cluster that cannot be in one mesh with us. */
function checkConfig(cluster: ClusterIdentity, own: ClusterIdentity, peers: Iterable<Peer>): void {
  if (cluster.id === own.id) {
    throw new MeshError(
      "conflict",
      `Cannot connect cluster "${cluster.name}": it has our own cluster id ${own.id}`,
    );
  }
  if (cluster.maxConnectedClusters !== own.maxConnectedClusters) {
    throw new MeshError(
      "conflict",
      `Cannot connect cluster "${cluster.name}": its identities are made for ` +
        `${cluster.maxConnectedClusters} clusters, ours for ${own.maxConnectedClusters}`,
    );
  }
  for (const other of peers) {
    if (other.cluster.id === cluster.id && other.cluster.name !== cluster.name) {
      throw new MeshError(
        "conflict",
        `Cannot connect cluster "${cluster.name}": cluster "${other.cluster.name}" has its id ${cluster.id}`,
      );
    }
  }
}

/** False when the signal was aborted. */
async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal);
    return true;
  } catch (error) {
    if (isMeshError(error, "aborted")) return false;
    throw error;
  }
}
