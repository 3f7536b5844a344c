// Node objects → node records. Pure.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { MeshNode } from "../../mesh/core/node.ts";
import type { NodeObject } from "../source/objects.ts";

/** Annotations of these owners concern the mesh; the others may be large and are nobody's business. */
const MESH_ANNOTATION = /^([a-z0-9-]+\.)*(cilium|tombolo)\.io\//;

export function meshNodeFromObject(node: NodeObject, cluster: ClusterIdentity): MeshNode {
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    name: node.name,
    addresses: node.addresses,
    podPrefixes: node.podPrefixes,
    encryptionKey: 0,
    wireguardPublicKey: "",
    bootId: node.bootId,
    labels: node.labels,
    annotations: new Map([...node.annotations].filter(([name]) => MESH_ANNOTATION.test(name))),
  };
}

/**
 * The address that other nodes tunnel to: IPv4 if the node has it, as Cilium chooses, so that one
 * underlay carries both families of pods. Empty if it has none.
 */
export function tunnelAddress(node: NodeObject | undefined): string {
  const internal = (node?.addresses ?? []).filter(({ type }) => type === "InternalIP");
  const ipv4 = internal.find(({ ip }) => !ip.includes(":"));
  return (ipv4 ?? internal[0])?.ip ?? "";
}
