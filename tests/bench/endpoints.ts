// Made-up endpoints of one remote cluster, in the wire format: 100 a node, as a full cluster has.
import type { EndpointAddress, MeshNode } from "../../mesh/core/node.ts";
import { encodeEndpoint, endpointName } from "../../mesh/kvstore/records/endpoint.ts";
import { stateWatchPrefix } from "../../mesh/kvstore/keys.ts";
import type { KeyValue } from "./bare-etcd.ts";

/** The remote cluster's id: identities start at its share of the number space. */
export const REMOTE_CLUSTER = { name: "west", id: 2, maxConnectedClusters: 255 } as const;

/** The cluster that is told. */
export const OWN_CLUSTER = { name: "east", id: 1, maxConnectedClusters: 255 } as const;

export const OWN_NODE: MeshNode = {
  cluster: OWN_CLUSTER.name,
  clusterId: OWN_CLUSTER.id,
  name: "east-node-1",
  addresses: [{ type: "InternalIP", ip: "172.19.0.1" }],
  podPrefixes: ["10.1.0.0/24"],
  encryptionKey: 0,
  wireguardPublicKey: "",
  bootId: "",
  labels: new Map(),
  annotations: new Map(),
};

const PODS_A_NODE = 100;
const IDENTITIES = 1_000;

export function makeEndpoint(index: number): EndpointAddress {
  const node = Math.floor(index / PODS_A_NODE);
  const pod = index % PODS_A_NODE;
  return {
    prefix: `10.${128 + (node >> 8)}.${node & 255}.${pod + 2}`,
    hostIp: `172.20.${node >> 8}.${node & 255}`,
    identity: REMOTE_CLUSTER.id * 65_536 + 256 + (index % IDENTITIES),
    encryptionKey: 0,
    namespace: `team-${index % 50}`,
    podName: `web-${index}`,
    serviceAccount: "default",
    namedPorts: [],
  };
}

export function endpointEntry(index: number): KeyValue {
  const endpoint = makeEndpoint(index);
  return {
    key: Buffer.from(`${stateWatchPrefix("ip", REMOTE_CLUSTER.name)}${endpointName(endpoint)}`),
    value: encodeEndpoint(endpoint),
  };
}
