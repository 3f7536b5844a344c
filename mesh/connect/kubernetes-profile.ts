// What a Kubernetes cluster says of itself: the ConfigMap `tombolo-cluster`, and where it is
// reached when that leaves it out, which is at its nodes. Pure: objects in, values out.
import {
  parseClusterSettings,
  type ClusterProfile,
  type ClusterSettings,
} from "../contexts/cluster-directory.ts";
import { addressFromText } from "../core/address.ts";
import { MeshError } from "../core/errors.ts";
import {
  CLUSTER_CONFIG_MAP,
  CLUSTER_KEY,
  ETCD_PORT,
  JOIN_PORT,
} from "../kubernetes/object-names.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import { describeObject, type ConfigMap } from "./kubernetes-objects.ts";

/** As much of a Node as finding endpoints takes. */
export interface NodeObject extends ApiObject {
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  };
}

/**
 * A reader tries endpoints one after another, and all stand in every peer's Secret; a cluster with
 * more nodes is better reached through an address of its own.
 */
export const MAX_NODE_ENDPOINTS = 16;

/** Throws `not_found` or `invalid_argument` naming the object and the key. */
export function settingsFromConfigMap(configMap: ConfigMap | undefined): ClusterSettings {
  const text = configMap?.data?.[CLUSTER_KEY];
  if (configMap === undefined || text === undefined) {
    const missing = configMap === undefined ? "is no such ConfigMap" : `is no "${CLUSTER_KEY}"`;
    throw new MeshError(
      "not_found",
      `Cannot read the cluster's profile from ConfigMap "${CLUSTER_CONFIG_MAP}": there ${missing}`,
      { hint: "is Tombolo installed there, in that namespace? `mesh install` installs it" },
    );
  }
  return parseClusterSettings(
    text,
    `${describeObject("ConfigMap", configMap)}, key ${CLUSTER_KEY}`,
  );
}

export function configMapFromSettings(settings: ClusterSettings, namespace: string): ConfigMap {
  const { name, id, maxConnectedClusters, etcdEndpoints, joinEndpoint } = settings;
  const fields = { name, id, maxConnectedClusters, etcdEndpoints, joinEndpoint };
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: CLUSTER_CONFIG_MAP, namespace },
    data: { [CLUSTER_KEY]: `${JSON.stringify(fields, null, 2)}\n` },
  };
}

/** The profile with endpoints: those of the settings, or else those of the nodes. */
export function profileFromSettings(
  settings: ClusterSettings,
  nodes: readonly NodeObject[],
): ClusterProfile {
  const etcdEndpoints = settings.etcdEndpoints ?? etcdEndpointsOfNodes(nodes);
  const joinEndpoint = settings.joinEndpoint ?? joinEndpointsOfNodes(nodes)[0];
  if (etcdEndpoints.length === 0 || joinEndpoint === undefined) {
    throw new MeshError(
      "not_found",
      `Cannot find the endpoints of cluster "${settings.name}": no node has an InternalIP`,
      { hint: `name them in ConfigMap "${CLUSTER_CONFIG_MAP}": etcdEndpoints and joinEndpoint` },
    );
  }
  return { ...settings, etcdEndpoints, joinEndpoint };
}

/** `https://ADDRESS:32379` of every node, by node name. */
export function etcdEndpointsOfNodes(nodes: readonly NodeObject[]): string[] {
  return nodeAddresses(nodes).map((address) => `https://${bracketed(address)}:${ETCD_PORT}`);
}

/** `ADDRESS:32381` of every node, by node name. */
export function joinEndpointsOfNodes(nodes: readonly NodeObject[]): string[] {
  return nodeAddresses(nodes).map((address) => `${bracketed(address)}:${JOIN_PORT}`);
}

function nodeAddresses(nodes: readonly NodeObject[]): string[] {
  const addresses = [...nodes]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap(({ status }) => status?.addresses ?? [])
    // Some clouds put names there.
    .filter(({ type, address }) => type === "InternalIP" && addressFromText(address) !== undefined)
    .map(({ address }) => address);
  return [...new Set(addresses)].slice(0, MAX_NODE_ENDPOINTS);
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
