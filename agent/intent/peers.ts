// Which clusters are connected: follows `cilium/cluster-config/` in our own etcd and keeps a
// session for each cluster in it. A config that is gone does not end its session by itself: the
// session decides when that is believed (mesh/kvstore/session.ts), drains its tables, and only
// then the cluster is no longer connected.
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { isMeshError, messageFromError, MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";
import { CLUSTER_CONFIG_PREFIX } from "../../mesh/kvstore/keys.ts";
import type { ConfiguredPeer } from "../../mesh/kvstore/records/peers.ts";
import { parseClusterConfig } from "../../mesh/kvstore/records/cluster-config.ts";
import type { ClusterSession, SessionStatus } from "../../mesh/kvstore/session.ts";
import type { ReadableStore } from "../../mesh/kvstore/store.ts";
import { createPeerSession, type OpenSession } from "./cluster-session.ts";
import type { PeerIntent } from "./intent.ts";

export interface PeersOptions {
  readonly own: ClusterIdentity;
  /** Which peers our own apiserver is told to have. */
  readonly configured: Table<ConfiguredPeer>;
  readonly store: Pick<ReadableStore, "watch">;
  readonly open: OpenSession;
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
/** An etcd that comes back is found within this time. */
const RETRY_CAP_MS = 10_000;

interface Peer {
  readonly cluster: ClusterIdentity;
  readonly intent: PeerIntent;
  readonly session: ClusterSession;
  readonly end: AbortController;
  readonly done: Promise<void>;
  listed: boolean;
}

interface RunContext {
  readonly signal: AbortSignal;
  readonly fail: (error: unknown) => void;
}

export function createPeers(options: PeersOptions): Peers {
  const { own, configured, store, open, clock, random, log } = options;
  const table = createTable<PeerIntent>({ name: "peers" });
  const peers = new Map<string, Peer>();
  const refused = new Map<string, string>();

  function add(cluster: ClusterIdentity, run: RunContext): void {
    const { intent, session } = createPeerSession(cluster, open);
    const end = new AbortController();
    const signal = AbortSignal.any([run.signal, end.signal]);
    const done = session.run(signal).catch((error: unknown) => run.fail(error));
    const peer: Peer = { cluster, intent, session, end, done, listed: true };
    peers.set(cluster.name, peer);
    table.put(cluster.name, intent);
    void followRemoval(peer, signal);
    log.info("Cluster is connected", { cluster: cluster.name, clusterId: cluster.id });
  }

  function remove(peer: Peer): void {
    const { name } = peer.cluster;
    if (peers.get(name) !== peer) return;
    peers.delete(name);
    table.delete(name);
    peer.end.abort();
    log.info("Cluster is no longer connected", { cluster: name });
  }

  /**
   * The session forgets the config when it believes that the cluster was removed. In an etcd that
   * was emptied there is no config to be removed: then the list of configured peers decides.
   */
  function removeIfBelieved(peer: Peer): void {
    const forgotten = peer.session.status().config === undefined;
    const dropped = configured.synced && configured.get(peer.cluster.name) === undefined;
    if (!peer.listed && (forgotten || dropped)) remove(peer);
  }

  /** Never rejects; ends with the signal. */
  async function followConfigured(signal: AbortSignal): Promise<void> {
    for await (const _ of configured.changes(signal)) {
      for (const peer of peers.values()) removeIfBelieved(peer);
    }
  }

  /** Never rejects; ends with the signal. */
  async function followRemoval(peer: Peer, signal: AbortSignal): Promise<void> {
    for await (const _ of peer.session.states.changes(signal)) removeIfBelieved(peer);
  }

  function onConfig(name: string, value: Buffer, run: RunContext): void {
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
      remove(known);
    }
    add(cluster, run);
  }

  function onDeleted(name: string): void {
    refused.delete(name);
    const peer = peers.get(name);
    if (peer === undefined) return;
    peer.listed = false;
    removeIfBelieved(peer);
  }

  async function watchOnce(run: RunContext): Promise<void> {
    const listed = new Set<string>();
    const target = { prefix: CLUSTER_CONFIG_PREFIX, maxKeys: MAX_CONFIGS };
    for await (const events of store.watch(target, run.signal)) {
      for (const event of events) {
        if (event.kind === "put") {
          const name = event.key.slice(CLUSTER_CONFIG_PREFIX.length);
          listed.add(name);
          onConfig(name, event.value, run);
        } else if (event.kind === "delete") {
          onDeleted(event.key.slice(CLUSTER_CONFIG_PREFIX.length));
        } else if (event.kind === "synced") {
          for (const [name, peer] of peers) peer.listed = listed.has(name);
        }
      }
      // An etcd without our own config has not been written yet: it lists nobody.
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
      await Promise.all([watchForever(run), followConfigured(run.signal)]);
      await Promise.all([...peers.values()].map(({ done }) => done));
      if (failed.signal.aborted) throw failed.signal.reason;
    },
  };
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
        `Cannot connect cluster "${cluster.name}": ` +
          `cluster "${other.cluster.name}" has its id ${cluster.id}`,
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
