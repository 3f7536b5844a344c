// Who is behind an address and how packets get there: the ipcache rows of one endpoint address
// and of one node. Pure; one record in, its rows out. Which record wins when several claim one
// prefix is not decided here (agent/desired/claims.ts).
//
// Besides its addresses every other node gets a row for each of its pod prefixes: identity
// `unmanaged`, tunnel endpoint the node. A pod's first packet often arrives before its own entry
// has travelled through two etcds; without the row the answer would not find the node. The
// identity is `unmanaged` and not `world`, so that no rule about the outside applies to a pod of
// the mesh that we do not know yet. Our own prefixes get no such row: our pods are known here
// first, and a packet for an address that no pod has must not leave the node.
import { addressInPrefix, parsePrefix } from "../../mesh/core/address.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { RESERVED_IDENTITY, type IdentityNumber } from "../../mesh/core/identity.ts";
import { nodeInternalAddress, type EndpointAddress, type MeshNode } from "../../mesh/core/node.ts";

export interface IpcacheRow {
  /** Canonical `address/length`. */
  readonly prefix: string;
  readonly identity: IdentityNumber;
  /** Canonical address of the node behind which it lies; "" if it is reached without a tunnel. */
  readonly tunnelEndpoint: string;
  readonly clusterId: ClusterId;
  readonly encryptionKey: number;
}

/** Of what belongs to no cluster. */
export const NO_CLUSTER: ClusterId = 0;

/** The addresses of the node that the agent runs on. */
export interface OwnNode {
  readonly cluster: string;
  readonly name: string;
  /** Canonical texts of its own addresses (not of its pods). */
  readonly addresses: ReadonlySet<string>;
}

export function planEndpointIpcache(
  endpoint: EndpointAddress,
  context: { readonly clusterId: ClusterId; readonly ownNode: OwnNode },
): IpcacheRow[] {
  const onThisNode = context.ownNode.addresses.has(endpoint.hostIp);
  return [
    {
      prefix: hostPrefix(endpoint.prefix),
      identity: endpoint.identity,
      tunnelEndpoint: onThisNode ? "" : endpoint.hostIp,
      clusterId: context.clusterId,
      encryptionKey: endpoint.encryptionKey,
    },
  ];
}

export function planNodeIpcache(node: MeshNode, ownNode: OwnNode): IpcacheRow[] {
  const own = isOwnNode(node, ownNode);
  const tunnel = own ? "" : tunnelEndpoint(node);
  const base = {
    identity: own ? RESERVED_IDENTITY.host : RESERVED_IDENTITY["remote-node"],
    clusterId: node.clusterId,
    encryptionKey: node.encryptionKey,
  };
  const rows = new Map<string, IpcacheRow>();
  const add = (row: IpcacheRow): void => void (rows.has(row.prefix) || rows.set(row.prefix, row));
  for (const { type, ip } of node.addresses) {
    if (type === "Hostname") continue;
    // The underlay reaches a node's own addresses; only the one inside the overlay needs a tunnel.
    const inOverlay = type === "CiliumInternalIP";
    add({ ...base, prefix: hostPrefix(ip), tunnelEndpoint: inOverlay ? tunnel : "" });
  }
  for (const router of routerAddresses(node.podPrefixes)) {
    add({ ...base, prefix: hostPrefix(router), tunnelEndpoint: tunnel });
  }
  if (!own && tunnel !== "") {
    for (const prefix of node.podPrefixes) {
      add({
        ...base,
        prefix,
        tunnelEndpoint: tunnel,
        identity: RESERVED_IDENTITY.unmanaged,
      });
    }
  }
  return [...rows.values()];
}

/**
 * A prefix that policies name, under this node's own number. Within a node's pods it is no address
 * outside the mesh: there it says what that node's own row says.
 */
export function planCidrIpcache(
  row: { readonly prefix: string; readonly identity: IdentityNumber },
  pods: { readonly tunnelEndpoint: string; readonly clusterId: ClusterId } | undefined,
): IpcacheRow[] {
  if (pods === undefined) {
    return [{ ...row, tunnelEndpoint: "", clusterId: NO_CLUSTER, encryptionKey: 0 }];
  }
  const { tunnelEndpoint, clusterId } = pods;
  const identity = RESERVED_IDENTITY.unmanaged;
  return [{ prefix: row.prefix, identity, tunnelEndpoint, clusterId, encryptionKey: 0 }];
}

/** What a node's pods may have as addresses, and the way there. */
export function podPrefixesOf(
  node: MeshNode,
  ownNode: OwnNode,
): { readonly prefix: string; readonly tunnelEndpoint: string; readonly clusterId: ClusterId }[] {
  const endpoint = isOwnNode(node, ownNode) ? "" : tunnelEndpoint(node);
  const { clusterId, podPrefixes } = node;
  return podPrefixes.map((prefix) => ({ prefix, tunnelEndpoint: endpoint, clusterId }));
}

export function isOwnNode(node: MeshNode, ownNode: OwnNode): boolean {
  return node.cluster === ownNode.cluster && node.name === ownNode.name;
}

/** Where other nodes send their tunnelled packets for a node's pods; "" if it has no address. */
export function tunnelEndpoint(node: MeshNode): string {
  return nodeInternalAddress(node, 4) ?? nodeInternalAddress(node, 6) ?? "";
}

/** The node's own address in each pod prefix, by which its pods reach it: the first after the network's. */
export function routerAddresses(podPrefixes: readonly string[]): string[] {
  return podPrefixes
    .map((text) => parsePrefix(text))
    .filter((prefix) => prefix.length < prefix.bytes.length * 8)
    .map((prefix) => addressInPrefix(prefix, 1n).text);
}

export function sameIpcacheRow(a: IpcacheRow, b: IpcacheRow): boolean {
  return (
    a.prefix === b.prefix &&
    a.identity === b.identity &&
    a.tunnelEndpoint === b.tunnelEndpoint &&
    a.clusterId === b.clusterId &&
    a.encryptionKey === b.encryptionKey
  );
}

/** `address` or `address/length` → `address/length`. */
function hostPrefix(text: string): string {
  if (text.includes("/")) return text;
  return `${text}/${text.includes(":") ? 128 : 32}`;
}
