// What an apiserver would have written, by hand: nodes, addresses and services of our own cluster
// and of connected ones in one etcd, with the canaries and the heartbeat that make readers
// believe them. For tests of the agent.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { EndpointAddress, MeshNode } from "../../mesh/core/node.ts";
import {
  DEFAULT_SERVICE_SETTINGS,
  type AddressPorts,
  type ClusterService,
  type LocalService,
  type Protocol,
  type ServiceSettings,
} from "../../mesh/core/service.ts";
import {
  cacheWatchPrefix,
  clusterConfigKey,
  configuredPeersPrefix,
  configuredPeersSyncedKey,
  drainsSyncedKey,
  EXPORTED_KINDS,
  HEARTBEAT_KEY,
  localDrainsSyncedKey,
  localIdentitiesSyncedKey,
  localServicesPrefix,
  localServicesSyncedKey,
  podsSyncedKey,
  policiesSyncedKey,
  stateWatchPrefix,
  syncedKey,
} from "../../mesh/kvstore/keys.ts";
import {
  encodeClusterConfig,
  OWN_CAPABILITIES,
} from "../../mesh/kvstore/records/cluster-config.ts";
import { encodeEndpoint, endpointName } from "../../mesh/kvstore/records/endpoint.ts";
import { encodeLocalService, localServiceName } from "../../mesh/kvstore/records/local-service.ts";
import { encodeNode, nodeName } from "../../mesh/kvstore/records/node.ts";
import { encodeConfiguredPeer, type ConfiguredPeer } from "../../mesh/kvstore/records/peers.ts";
import { encodeService, serviceName } from "../../mesh/kvstore/records/service.ts";
import type { StoreOperation } from "../../mesh/kvstore/store.ts";

export const EAST: ClusterIdentity = { name: "east", id: 1, maxConnectedClusters: 255 };
export const WEST: ClusterIdentity = { name: "west", id: 2, maxConnectedClusters: 255 };
export const NORTH: ClusterIdentity = { name: "north", id: 3, maxConnectedClusters: 255 };

/** `{"10.0.0.1": ["http/80/TCP", "dns/53/UDP"]}` → addresses with named ports. */
export function ports(addresses: Readonly<Record<string, readonly string[]>>): AddressPorts {
  return new Map(
    Object.entries(addresses).map(([address, list]) => [
      address,
      new Map(
        list.map((text) => {
          const [name = "", port = "0", protocol = "TCP"] = text.split("/");
          return [name, { port: Number(port), protocol: protocol as Protocol }];
        }),
      ),
    ]),
  );
}

export function testService(
  cluster: ClusterIdentity,
  parts: {
    readonly name?: string;
    readonly frontends?: Readonly<Record<string, readonly string[]>>;
    readonly backends?: Readonly<Record<string, readonly string[]>>;
    readonly shared?: boolean;
  } = {},
): ClusterService {
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    namespace: "shop",
    name: parts.name ?? "cart",
    frontends: ports(parts.frontends ?? {}),
    backends: ports(parts.backends ?? {}),
    labels: new Map(),
    selector: new Map(),
    includeExternal: true,
    shared: parts.shared ?? true,
  };
}

export function localService(
  service: ClusterService,
  settings: Partial<ServiceSettings> = {},
): LocalService {
  return { service, settings: { ...DEFAULT_SERVICE_SETTINGS, global: true, ...settings } };
}

export function testNode(
  cluster: ClusterIdentity,
  parts: {
    readonly name: string;
    readonly addresses: readonly string[];
    readonly podPrefixes: readonly string[];
  },
): MeshNode {
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    name: parts.name,
    addresses: parts.addresses.map((ip) => ({ type: "InternalIP", ip })),
    podPrefixes: parts.podPrefixes,
    encryptionKey: 0,
    wireguardPublicKey: "",
    bootId: "",
    labels: new Map(),
    annotations: new Map(),
  };
}

export function testEndpoint(
  cluster: ClusterIdentity,
  parts: { readonly ip: string; readonly hostIp: string; readonly number?: number },
): EndpointAddress {
  return {
    prefix: parts.ip,
    hostIp: parts.hostIp,
    identity: (cluster.id << 16) + (parts.number ?? 300),
    encryptionKey: 0,
    namespace: "shop",
    podName: "cart-0",
    serviceAccount: "default",
    namedPorts: [],
  };
}

/** Everything that etcd holds of one cluster. */
export interface ClusterContents {
  readonly cluster: ClusterIdentity;
  readonly nodes?: readonly MeshNode[];
  readonly endpoints?: readonly EndpointAddress[];
  /** Of our own cluster. */
  readonly localServices?: readonly LocalService[];
  /** Of our own cluster; none by default. */
  readonly configuredPeers?: readonly ConfiguredPeer[];
  /** Of a connected one. */
  readonly services?: readonly ClusterService[];
}

/** Records first, then the canaries and the heartbeat that vouch for them. */
export function ownClusterPuts(contents: ClusterContents): StoreOperation[] {
  const { name } = contents.cluster;
  return [
    putOf(clusterConfigKey(name), configOf(contents.cluster, false)),
    ...(contents.nodes ?? []).map((node) =>
      putOf(stateWatchPrefix("nodes", name) + nodeName(node), encodeNode(node)),
    ),
    ...(contents.endpoints ?? []).map((endpoint) =>
      putOf(stateWatchPrefix("ip", name) + endpointName(endpoint), encodeEndpoint(endpoint)),
    ),
    ...(contents.localServices ?? []).map(localServicePut),
    ...(contents.configuredPeers ?? []).map((peer) => configuredPeerPut(name, peer)),
    ...EXPORTED_KINDS.map((kind) => putOf(syncedKey({ cluster: name, kind, cached: false }), NOW)),
    putOf(localServicesSyncedKey(name), NOW),
    putOf(configuredPeersSyncedKey(name), NOW),
    putOf(drainsSyncedKey({ cluster: name, cached: false }), NOW),
    putOf(localDrainsSyncedKey(name), NOW),
    putOf(localIdentitiesSyncedKey(name), NOW),
    putOf(policiesSyncedKey(name), NOW),
    putOf(podsSyncedKey(name), NOW),
    putOf(HEARTBEAT_KEY, NOW),
  ];
}

export function peerClusterPuts(contents: ClusterContents): StoreOperation[] {
  const { name } = contents.cluster;
  return [
    putOf(clusterConfigKey(name), configOf(contents.cluster, true)),
    ...(contents.nodes ?? []).map((node) =>
      putOf(cacheWatchPrefix("nodes", name) + nodeName(node), encodeNode(node)),
    ),
    ...(contents.endpoints ?? []).map((endpoint) => peerEndpointPut(contents.cluster, endpoint)),
    ...(contents.services ?? []).map(peerServicePut),
    ...EXPORTED_KINDS.map((kind) => putOf(syncedKey({ cluster: name, kind, cached: true }), NOW)),
    putOf(drainsSyncedKey({ cluster: name, cached: true }), NOW),
  ];
}

export function localServicePut(local: LocalService): StoreOperation {
  const key = localServicesPrefix(local.service.cluster) + localServiceName(local);
  return putOf(key, encodeLocalService(local));
}

export function configuredPeerPut(cluster: string, peer: ConfiguredPeer): StoreOperation {
  return putOf(configuredPeersPrefix(cluster) + peer.name, encodeConfiguredPeer(peer));
}

export function peerServicePut(service: ClusterService): StoreOperation {
  const key = cacheWatchPrefix("services", service.cluster) + serviceName(service);
  return putOf(key, encodeService(service));
}

export function peerEndpointPut(
  cluster: ClusterIdentity,
  endpoint: EndpointAddress,
): StoreOperation {
  const key = cacheWatchPrefix("ip", cluster.name) + endpointName(endpoint);
  return putOf(key, encodeEndpoint(endpoint));
}

export function heartbeatPut(): StoreOperation {
  return putOf(HEARTBEAT_KEY, NOW);
}

export function deletionOf(operation: StoreOperation): StoreOperation {
  return { kind: "delete", key: operation.key };
}

function putOf(key: string, value: Buffer): StoreOperation {
  return { kind: "put", key, value };
}

function configOf(cluster: ClusterIdentity, cached: boolean): Buffer {
  return encodeClusterConfig({ cluster, capabilities: { ...OWN_CAPABILITIES, cached } });
}

/** Readers do not look at what stands in canaries and heartbeats, only at when they are written. */
const NOW = Buffer.from("2026-01-01T00:00:00Z");
