// What a cluster's own etcd says that connecting must know: its config, the pod prefixes of its
// nodes and of its mirrored peers, and what its services would lose without a peer.
import type { ReadableStore } from "../kvstore/store.ts";
import {
  cacheWatchPrefix,
  CLUSTER_CONFIG_PREFIX,
  localServicesPrefix,
  stateWatchPrefix,
  versionKey,
} from "../kvstore/keys.ts";
import { parseClusterConfig } from "../kvstore/records/cluster-config.ts";
import { parseLocalService } from "../kvstore/records/local-service.ts";
import { parseNode } from "../kvstore/records/node.ts";
import { parseService } from "../kvstore/records/service.ts";
import { parseVersion } from "../kvstore/records/version.ts";
import type { ClusterIdentity } from "../core/cluster.ts";
import { isMeshError } from "../core/errors.ts";
import type { MeshNode } from "../core/node.ts";
import { serviceKey, type ClusterService } from "../core/service.ts";
import type { ServiceLoss } from "./cluster-access.ts";
import type { EncryptionMode, PrefixClaim } from "./cluster-facts.ts";

export interface EtcdFacts {
  /** The cluster itself, once it has exported its config, and every peer that it mirrors. */
  readonly clusters: readonly ClusterIdentity[];
  readonly prefixes: readonly PrefixClaim[];
  /** How the cluster's own nodes encrypt, each way once, sorted. */
  readonly encryption: readonly EncryptionMode[];
  readonly version: string;
}

export async function readEtcdFacts(
  store: ReadableStore,
  options: { cluster: ClusterIdentity; signal: AbortSignal },
): Promise<EtcdFacts> {
  const { cluster, signal } = options;
  const clusters = await readClusters(store, signal);
  const prefixes: PrefixClaim[] = [];
  const encryption = new Set<EncryptionMode>();
  for (const owner of clusters) {
    const own = owner.name === cluster.name;
    const prefix = own
      ? stateWatchPrefix("nodes", owner.name)
      : cacheWatchPrefix("nodes", owner.name);
    const nodes = readRecords(store, {
      prefix,
      signal,
      parse: (name, value) => parseNode(name, value, owner),
    });
    for await (const node of nodes) {
      if (own) encryption.add(encryptionMode(node));
      for (const podPrefix of node.podPrefixes) {
        prefixes.push({ prefix: podPrefix, cluster: owner.name, node: node.name });
      }
    }
  }
  const version = await readVersion(store, options);
  return { clusters, prefixes, encryption: [...encryption].sort(), version };
}

/** Every global service of the cluster that has backends in `peer`. */
export async function readServiceLosses(
  store: ReadableStore,
  options: { cluster: ClusterIdentity; peer: string; signal: AbortSignal },
): Promise<ServiceLoss[]> {
  const { cluster, peer, signal } = options;
  const clusters = await readClusters(store, signal);
  const remaining = new Map<string, number>();
  const globals = new Set<string>();
  const locals = readRecords(store, {
    prefix: localServicesPrefix(cluster.name),
    signal,
    parse: (name, value) => parseLocalService(name, value, cluster),
  });
  for await (const { service, settings } of locals) {
    if (!settings.global) continue;
    globals.add(serviceKey(service));
    remaining.set(serviceKey(service), service.backends.size);
  }
  const lost = new Map<string, number>();
  for (const owner of clusters.filter(({ name }) => name !== cluster.name)) {
    const counts = owner.name === peer ? lost : remaining;
    for await (const service of readCachedServices(store, { owner, signal })) {
      const key = serviceKey(service);
      if (globals.has(key)) counts.set(key, (counts.get(key) ?? 0) + service.backends.size);
    }
  }
  return [...lost]
    .filter(([, lostBackends]) => lostBackends > 0)
    .map(([service, lostBackends]) => ({
      service,
      lostBackends,
      remainingBackends: remaining.get(service) ?? 0,
    }))
    .sort((a, b) => (a.service < b.service ? -1 : 1));
}

function encryptionMode({ encryptionKey }: MeshNode): EncryptionMode {
  if (encryptionKey === 0) return "none";
  return encryptionKey === 255 ? "wireguard" : "ipsec";
}

function readCachedServices(
  store: ReadableStore,
  { owner, signal }: { owner: ClusterIdentity; signal: AbortSignal },
): AsyncIterable<ClusterService> {
  return readRecords(store, {
    prefix: cacheWatchPrefix("services", owner.name),
    signal,
    parse: (name, value) => parseService(name, value, owner),
  });
}

async function readClusters(store: ReadableStore, signal: AbortSignal): Promise<ClusterIdentity[]> {
  const clusters: ClusterIdentity[] = [];
  const configs = readRecords(store, {
    prefix: CLUSTER_CONFIG_PREFIX,
    signal,
    parse: parseClusterConfig,
  });
  for await (const { cluster } of configs) clusters.push(cluster);
  return clusters;
}

async function readVersion(
  store: ReadableStore,
  { cluster, signal }: { cluster: ClusterIdentity; signal: AbortSignal },
): Promise<string> {
  const entry = await store.get(versionKey(cluster.name), signal);
  return entry === undefined ? "" : parseVersion(cluster.name, entry.value);
}

/** Broken records are skipped here: whoever exports or mirrors them counts and reports them. */
async function* readRecords<T>(
  store: ReadableStore,
  options: {
    prefix: string;
    parse: (name: string, value: Buffer) => T;
    signal: AbortSignal;
  },
): AsyncIterable<T> {
  for await (const page of store.list(options.prefix, options.signal)) {
    for (const { key, value } of page) {
      let record: T;
      try {
        record = options.parse(key.slice(options.prefix.length), value);
      } catch (error) {
        if (isMeshError(error, "invalid_argument")) continue;
        throw error;
      }
      yield record;
    }
  }
}
