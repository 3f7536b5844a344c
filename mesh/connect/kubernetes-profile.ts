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
  readonly metadata: ApiObject["metadata"] & { readonly labels?: Readonly<Record<string, string>> };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  };
}

/**
 * All stand in every peer's Secret, and a reader tries all of them at once; a cluster with more
 * nodes is better reached through an address of its own.
 */
export const MAX_NODE_ENDPOINTS = 16;

/** Nodes that stay, and are few. The second is what Kubernetes before 1.20 says. */
const CONTROL_PLANE_LABELS = [
  "node-role.kubernetes.io/control-plane",
  "node-role.kubernetes.io/master",
];

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

/**
 * The profile with endpoints: those of the settings, or else those of the nodes. Of more nodes than
 * are named, that of `apiserverNode` is one.
 */
export function profileFromSettings(
  settings: ClusterSettings,
  nodes: readonly NodeObject[],
  apiserverNode?: string,
): ClusterProfile {
  const etcdEndpoints = settings.etcdEndpoints ?? etcdEndpointsOfNodes(nodes, apiserverNode);
  const joinEndpoint = settings.joinEndpoint ?? joinEndpointsOfNodes(nodes, apiserverNode)[0];
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
export function etcdEndpointsOfNodes(
  nodes: readonly NodeObject[],
  apiserverNode?: string,
): string[] {
  return chosenAddresses(nodes, apiserverNode).map(
    (address) => `https://${bracketed(address)}:${ETCD_PORT}`,
  );
}

/** `ADDRESS:32381` of every node, by node name. */
export function joinEndpointsOfNodes(
  nodes: readonly NodeObject[],
  apiserverNode?: string,
): string[] {
  return chosenAddresses(nodes, apiserverNode).map(
    (address) => `${bracketed(address)}:${JOIN_PORT}`,
  );
}

/** Whether there are more addresses than are named, so that it matters where the apiserver is. */
export function hasMoreAddresses(nodes: readonly NodeObject[]): boolean {
  return new Set(nodes.flatMap(internalAddresses)).size > MAX_NODE_ENDPOINTS;
}

/**
 * Which are named goes by rank; in what order, by the nodes' names alone, so that an apiserver that
 * moves among them changes nothing that peers have written down.
 */
function chosenAddresses(
  nodes: readonly NodeObject[],
  apiserverNode: string | undefined,
): readonly string[] {
  const byName = [...nodes].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rank = ({ metadata: { name, labels = {} } }: NodeObject): number => {
    if (name === apiserverNode) return 0;
    return CONTROL_PLANE_LABELS.some((label) => Object.hasOwn(labels, label)) ? 1 : 2;
  };
  const byRank = byName.toSorted((a, b) => rank(a) - rank(b)).map(internalAddresses);
  // A second family must not push other nodes out.
  const wanted = [...byRank.flatMap((own) => own.slice(0, 1)), ...byRank.flat()];
  const chosen = new Set([...new Set(wanted)].slice(0, MAX_NODE_ENDPOINTS));
  return [...new Set(byName.flatMap(internalAddresses))].filter((address) => chosen.has(address));
}

/** Addresses only: some clouds put names there. */
function internalAddresses({ status }: NodeObject): string[] {
  return (status?.addresses ?? [])
    .filter(({ type, address }) => type === "InternalIP" && addressFromText(address) !== undefined)
    .map(({ address }) => address);
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
