// What a session reads, kind by kind: where the records stand, how they are parsed, and how much
// of them one cluster may send before the rest is dropped.
import type { EndpointAddress, MeshNode } from "../../core/node.ts";
import type { Policy } from "../../core/policy.ts";
import type { ClusterService, LocalService } from "../../core/service.ts";
import type { WritableTable } from "../../core/table.ts";
import {
  cachedDrainsPrefix,
  cacheWatchPrefix,
  configuredPeersPrefix,
  configuredPeersSyncedKey,
  drainsPrefix,
  drainsSyncedKey,
  localDrainsPrefix,
  localDrainsSyncedKey,
  localIdentitiesPrefix,
  localIdentitiesSyncedKey,
  localServicesPrefix,
  localServicesSyncedKey,
  nodePodsPrefix,
  podsSyncedKey,
  policiesPrefix,
  policiesSyncedKey,
  stateWatchPrefix,
  syncedKey,
  type ExportedKind,
} from "../keys.ts";
import type { SessionKind } from "../session-kind.ts";
import { MAX_DRAINS, parseDrain, parseOwnDrain, type DrainRecord } from "./drain.ts";
import { parseEndpoint } from "./endpoint.ts";
import { parseIdentity, type IdentityRecord } from "./identity.ts";
import { parseLocalService } from "./local-service.ts";
import { parseNode } from "./node.ts";
import { parseConfiguredPeer, type ConfiguredPeer } from "./peers.ts";
import { parseLocalPod, type LocalPod } from "./pod.ts";
import { MAX_POLICIES, parsePolicyOrClosed, POLICY_MAX_BYTES } from "./policy.ts";
import { parseService } from "./service.ts";

/** `state`: the cluster's own etcd. `cache`: the copy that our apiserver keeps of it. */
export type Layout = "state" | "cache";

export interface KindOptions<T> {
  readonly cluster: string;
  readonly layout: Layout;
  readonly table: WritableTable<T>;
}

/** Kubernetes is tested up to 5,000 nodes; twice that is no cluster that we know of. */
export const MAX_NODES = 10_000;
/** The width of a cluster's identity range in the wider of the two layouts. */
export const MAX_IDENTITIES = 65_536;
/** Twice the 250,000 endpoints of all remote clusters that an agent is built for. */
export const MAX_ENDPOINTS = 500_000;
/** Kubernetes is tested up to 10,000 services; an agent's maps hold 100,000. */
export const MAX_SERVICES = 100_000;

/** Kubernetes is tested up to 110 pods a node; the largest in use have some 1,000. */
export const MAX_NODE_PODS = 10_000;

/** The width of the wider of the two layouts of identities. */
export const MAX_PEERS = 511;

/** Labels and annotations make most of a node; Kubernetes allows 256 KiB of annotations. */
export const NODE_MAX_BYTES = 512 * 1024;
/** 1,024 labels of half a KiB are beyond any pod; real sets are below 2 KiB. */
export const IDENTITY_MAX_BYTES = 64 * 1024;
/** Names of at most 253 characters and some named ports; real records are below 400 bytes. */
export const ENDPOINT_MAX_BYTES = 32 * 1024;
/** etcd's own default limit of a request: no larger value can have been written. */
export const SERVICE_MAX_BYTES = 1_536 * 1024;
/** A name of 32 characters and a number; the rest is room for later fields. */
export const PEER_MAX_BYTES = 4 * 1024;
/** A thousand services with names of full length, and a reason. */
export const DRAIN_MAX_BYTES = 160 * 1024;

export function nodesKind(options: KindOptions<MeshNode>): SessionKind<MeshNode> {
  return {
    ...place("nodes", options),
    table: options.table,
    parse: parseNode,
    maxRecords: MAX_NODES,
    maxValueBytes: NODE_MAX_BYTES,
  };
}

export function identitiesKind(options: KindOptions<IdentityRecord>): SessionKind<IdentityRecord> {
  return {
    ...place("identities", options),
    table: options.table,
    parse: parseIdentity,
    maxRecords: MAX_IDENTITIES,
    maxValueBytes: IDENTITY_MAX_BYTES,
  };
}

export function endpointsKind(options: KindOptions<EndpointAddress>): SessionKind<EndpointAddress> {
  return {
    ...place("ip", options),
    table: options.table,
    parse: parseEndpoint,
    maxRecords: MAX_ENDPOINTS,
    maxValueBytes: ENDPOINT_MAX_BYTES,
  };
}

export function servicesKind(options: KindOptions<ClusterService>): SessionKind<ClusterService> {
  return {
    ...place("services", options),
    table: options.table,
    parse: parseService,
    maxRecords: MAX_SERVICES,
    maxValueBytes: SERVICE_MAX_BYTES,
  };
}

/** For the cluster's own agents; there is only one layout. */
export function localServicesKind(
  options: Omit<KindOptions<LocalService>, "layout">,
): SessionKind<LocalService> {
  return {
    prefix: localServicesPrefix(options.cluster),
    canaryKey: localServicesSyncedKey(options.cluster),
    table: options.table,
    parse: parseLocalService,
    maxRecords: MAX_SERVICES,
    maxValueBytes: SERVICE_MAX_BYTES,
  };
}

/**
 * For the cluster's own agents. A record that cannot be read still says that the peer is there:
 * its id counts as unknown, which removes less than forgetting the peer would.
 */
export function configuredPeersKind(
  options: Omit<KindOptions<ConfiguredPeer>, "layout">,
): SessionKind<ConfiguredPeer> {
  return {
    prefix: configuredPeersPrefix(options.cluster),
    canaryKey: configuredPeersSyncedKey(options.cluster),
    table: options.table,
    parse(name, value) {
      try {
        return parseConfiguredPeer(name, value);
      } catch {
        return { name, id: undefined };
      }
    },
    maxRecords: MAX_PEERS,
    maxValueBytes: PEER_MAX_BYTES,
  };
}

/** What a cluster says of itself. Optional: members of older versions, and of Cilium, say nothing. */
export function drainsKind(options: KindOptions<DrainRecord>): SessionKind<DrainRecord> {
  const { cluster, layout, table } = options;
  const cached = layout === "cache";
  return {
    prefix: cached ? cachedDrainsPrefix(cluster) : drainsPrefix(cluster),
    canaryKey: drainsSyncedKey({ cluster, cached }),
    table,
    parse: parseOwnDrain,
    maxRecords: MAX_DRAINS,
    maxValueBytes: DRAIN_MAX_BYTES,
    optional: true,
  };
}

/** About peers, for the cluster's own agents. */
export function localDrainsKind(
  options: Omit<KindOptions<DrainRecord>, "layout">,
): SessionKind<DrainRecord> {
  return {
    prefix: localDrainsPrefix(options.cluster),
    canaryKey: localDrainsSyncedKey(options.cluster),
    table: options.table,
    parse: parseDrain,
    maxRecords: MAX_DRAINS,
    maxValueBytes: DRAIN_MAX_BYTES,
    optional: true,
  };
}

/**
 * For the cluster's own agents. A record that cannot be read opens nothing: what it last said
 * stays, and one that never could be read closes all that it may be about.
 */
export function policiesKind(options: Omit<KindOptions<Policy>, "layout">): SessionKind<Policy> {
  const { cluster, table } = options;
  return {
    prefix: policiesPrefix(cluster),
    canaryKey: policiesSyncedKey(cluster),
    table,
    parse: (name, value) =>
      parsePolicyOrClosed(name, { value, isKnown: table.get(name) !== undefined }),
    maxRecords: MAX_POLICIES,
    maxValueBytes: POLICY_MAX_BYTES,
    optional: true,
  };
}

/** For the cluster's own agents: also those that peers do not hear of. */
export function localIdentitiesKind(
  options: Omit<KindOptions<IdentityRecord>, "layout">,
): SessionKind<IdentityRecord> {
  return {
    prefix: localIdentitiesPrefix(options.cluster),
    canaryKey: localIdentitiesSyncedKey(options.cluster),
    table: options.table,
    parse: parseIdentity,
    maxRecords: MAX_IDENTITIES,
    maxValueBytes: IDENTITY_MAX_BYTES,
    optional: true,
  };
}

/** The pods of one node, for its agent. */
export function nodePodsKind(
  options: Omit<KindOptions<LocalPod>, "layout"> & { readonly node: string },
): SessionKind<LocalPod> {
  const { cluster, node, table } = options;
  return {
    prefix: nodePodsPrefix({ cluster, node }),
    canaryKey: podsSyncedKey(cluster),
    table,
    parse: parseLocalPod,
    maxRecords: MAX_NODE_PODS,
    maxValueBytes: ENDPOINT_MAX_BYTES,
    optional: true,
  };
}

function place(
  kind: ExportedKind,
  options: { readonly cluster: string; readonly layout: Layout },
): { prefix: string; canaryKey: string } {
  const { cluster, layout } = options;
  return {
    prefix: layout === "state" ? stateWatchPrefix(kind, cluster) : cacheWatchPrefix(kind, cluster),
    canaryKey: syncedKey({ cluster, kind, cached: layout === "cache" }),
  };
}
