// The record of the node that the agent runs on, as its own cluster's etcd tells it. Nothing that
// depends on "is this address on this node" is planned before it is known.
import type { MeshNode } from "../../mesh/core/node.ts";
import type { ClusterIntent } from "../intent/intent.ts";
import type { OwnNode } from "../plan/plan-ipcache.ts";

/** Undefined only when the signal was aborted. */
export async function awaitOwnNode(
  own: ClusterIntent,
  options: { readonly nodeName: string; readonly signal: AbortSignal },
): Promise<OwnNode | undefined> {
  const { nodeName, signal } = options;
  const found = new AbortController();
  for await (const _ of own.nodes.changes(AbortSignal.any([signal, found.signal]))) {
    if (own.nodes.get(nodeName) !== undefined) found.abort();
  }
  const node = own.nodes.get(nodeName);
  return node === undefined || signal.aborted ? undefined : ownNodeFrom(node);
}

export function ownNodeFrom(node: MeshNode): OwnNode {
  const addresses = node.addresses.filter(({ type }) => type !== "Hostname");
  return {
    cluster: node.cluster,
    name: node.name,
    addresses: new Set(addresses.map(({ ip }) => ip)),
  };
}
