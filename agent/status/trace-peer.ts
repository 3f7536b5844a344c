// Who is at the other end of a packet that was never sent: a pod by its name, or an address.
import { ipcacheKeyFromText, isNoAddress } from "../../bpf/address.ts";
import type { TraceRequest } from "../../mesh/api/policy-messages.ts";
import { addressFromText } from "../../mesh/core/address.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { RESERVED_IDENTITY, type IdentityNumber } from "../../mesh/core/identity.ts";
import type { ClusterIntent } from "../intent/intent.ts";
import type { IdentityBook } from "../observe/identity-book.ts";
import { FIRST_CIDR_NUMBER } from "../policy/entry.ts";
import type { PolicyReportParts } from "./policy-parts.ts";

export interface TracePeer {
  /** Canonical; "" of a pod that has none yet. */
  readonly address: string;
  /** As policies know it. */
  readonly identity: IdentityNumber;
  /** As the kernel will know it when the packet comes or goes. */
  readonly kernelIdentity: IdentityNumber;
}

export interface TracePeerContext {
  readonly parts: Pick<PolicyReportParts, "intent" | "engine" | "maps" | "nodeName" | "endpoints">;
  readonly book: IdentityBook;
}

/** Throws `not_found` for a pod that nobody has told of, `invalid_argument` for no peer at all. */
export function findTracePeer(request: TraceRequest, context: TracePeerContext): TracePeer {
  const { peerPod, peerAddress } = request;
  if (peerPod !== null) return peerFromPod(request, context);
  const address = addressFromText(peerAddress);
  if (address === undefined) {
    throw new MeshError(
      "invalid_argument",
      `Cannot trace to "${peerAddress}": want a pod or an address`,
    );
  }
  return peerFromAddress(address.text, request, context);
}

function peerFromPod(request: TraceRequest, context: TracePeerContext): TracePeer {
  const { cluster: clusterName, namespace, name } = request.peerPod ?? NO_POD;
  const { book, parts } = context;
  const cluster = book.cluster(clusterName);
  if (cluster === undefined) {
    throw new MeshError(
      "not_found",
      `Cannot find cluster "${clusterName}" from node "${parts.nodeName}"`,
    );
  }
  const address = addressOfPod(cluster, { namespace, name, protocol: request.protocol });
  if (address !== undefined) return peerFromAddress(address, request, context);
  // Bound to this node, and without an address so far.
  const { own } = parts.intent;
  const identity = cluster === own ? own.pods.get(`${namespace}/${name}`)?.identity : undefined;
  if (identity !== undefined) return { address: "", identity, kernelIdentity: identity };
  throw new MeshError(
    "not_found",
    `Cannot find pod "${namespace}/${name}" of cluster "${cluster.cluster.name}"`,
    { hint: "it must have an address; pods in the host's network have the node's" },
  );
}

const NO_POD = { cluster: "", namespace: "", name: "" };

/** IPv4 before IPv6, unless the protocol is IPv6's. One walk over the cluster's addresses. */
function addressOfPod(
  cluster: ClusterIntent,
  pod: { readonly namespace: string; readonly name: string; readonly protocol: string },
): string | undefined {
  const found: string[] = [];
  for (const [address, { namespace, podName }] of cluster.endpoints.entries()) {
    if (podName === pod.name && namespace === pod.namespace) found.push(address);
  }
  const wanted = pod.protocol === "ICMPv6" ? 6 : 4;
  return found.find((address) => familyOf(address) === wanted) ?? found[0];
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

function peerFromAddress(
  address: string,
  { direction }: Pick<TraceRequest, "direction">,
  { parts, book }: TracePeerContext,
): TracePeer {
  const { engine, maps } = parts;
  const key = ipcacheKeyFromText(`${address}/${familyOf(address) === 4 ? 32 : 128}`);
  const row = maps.ipcache.get(key);
  const local = localIdentity(address, parts);
  // What is neither a pod nor outside the mesh only the ipcache knows: nodes and their prefixes.
  const isOfMesh = row !== undefined && row.identity < FIRST_CIDR_NUMBER && !isWorld(row.identity);
  const identity =
    podIdentity(address, book) ??
    local ??
    (isOfMesh ? row.identity : engine.numberOfAddress(address));
  // What comes through a tunnel says itself who it is.
  const isTunnelled =
    direction === "ingress" && row !== undefined && !isNoAddress(row.tunnelEndpoint);
  const kernelIdentity = row?.identity ?? local ?? worldOf(address);
  return { address, identity, kernelIdentity: isTunnelled ? identity : kernelIdentity };
}

/** Of a pod of this node that nobody else has told of: by its row, or as one that has none. */
function localIdentity(
  address: string,
  { endpoints, maps }: TracePeerContext["parts"],
): IdentityNumber | undefined {
  for (const [, { addresses, ifindex }] of endpoints.entries()) {
    if (!addresses.includes(address)) continue;
    return maps.policyState.get({ ifindex })?.identity ?? RESERVED_IDENTITY.init;
  }
  return undefined;
}

/** Our own cluster's word goes before a peer's. */
function podIdentity(address: string, book: IdentityBook): IdentityNumber | undefined {
  for (const { endpoints } of book.clusters()) {
    const record = endpoints.get(address);
    if (record !== undefined) return record.identity;
  }
  return undefined;
}

function isWorld(identity: IdentityNumber): boolean {
  return identity === worldOf("0.0.0.0") || identity === worldOf("::");
}

function worldOf(address: string): IdentityNumber {
  return RESERVED_IDENTITY[familyOf(address) === 4 ? "world-ipv4" : "world-ipv6"];
}
