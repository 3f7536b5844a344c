// The routing table of the node, as far as it is ours: pod prefixes of other nodes lead into the
// overlay device, our own prefixes end here. Pure; one node in, its routes out.
//
// Our own pod prefixes get an `unreachable` route of the highest metric below the host routes of
// the pods: a packet for a pod that is gone is answered at once, so that its sender gives up
// instead of waiting, and it never leaves through the default route. (`blackhole` would be silent.)
import type { MeshNode } from "../../mesh/core/node.ts";
import { isOwnNode, routerAddresses, tunnelEndpoint, type OwnNode } from "./plan-ipcache.ts";

export type NodeRoute =
  | {
      readonly kind: "overlay";
      readonly prefix: string;
      readonly mtu: number;
      /** The node's own address in the overlay, so that the answer takes the same way; "" for none. */
      readonly source: string;
    }
  | { readonly kind: "unreachable"; readonly prefix: string };

/** Outer headers in front of a pod's packet: IP, UDP, VXLAN, inner Ethernet. */
export const OVERLAY_OVERHEAD_BYTES = { 4: 50, 6: 70 } as const;

/** Of an endpoint's device and of routes into the overlay. */
export function overlayMtu(underlayMtu: number, node: MeshNode): number {
  const family = tunnelEndpoint(node).includes(":") ? 6 : 4;
  return underlayMtu - OVERLAY_OVERHEAD_BYTES[family];
}

/** What routes to other nodes need to know of our own. */
export interface RouteContext {
  readonly ownNode: OwnNode;
  readonly mtu: number;
  /** Our node's router addresses. */
  readonly sources: readonly string[];
  /** Our own prefixes are another plugin's, and so are the routes of its pods. */
  readonly foreignAddresses?: boolean;
}

export function planNodeRoutes(node: MeshNode, context: RouteContext): NodeRoute[] {
  if (isOwnNode(node, context.ownNode)) {
    if (context.foreignAddresses === true) return [];
    return node.podPrefixes.map((prefix) => ({ kind: "unreachable", prefix }));
  }
  if (tunnelEndpoint(node) === "") return [];
  return node.podPrefixes.map((prefix) => ({
    kind: "overlay",
    prefix,
    mtu: context.mtu,
    source: context.sources.find((source) => sameFamily(source, prefix)) ?? "",
  }));
}

export function sameRoute(a: NodeRoute, b: NodeRoute): boolean {
  if (a.prefix !== b.prefix) return false;
  if (a.kind === "unreachable" || b.kind === "unreachable") return a.kind === b.kind;
  return a.mtu === b.mtu && a.source === b.source;
}

/** What the CNI plugin must know of the node before it can attach a pod. */
export interface CniNode {
  readonly nodeName: string;
  readonly podPrefixes: readonly string[];
  readonly routerAddresses: readonly string[];
  readonly mtu: number;
  readonly bpfRoot: string;
}

/**
 * Undefined while the node has no pod prefix: then it can hold no pod. Where another plugin gives
 * pods their addresses, prefixes mean nothing and their routers' addresses are not ours.
 */
export function planCniNode(
  node: MeshNode,
  context: {
    readonly underlayMtu: number;
    readonly bpfRoot: string;
    readonly foreignAddresses?: boolean;
  },
): CniNode | undefined {
  const podPrefixes = context.foreignAddresses === true ? [] : node.podPrefixes;
  if (podPrefixes.length === 0 && context.foreignAddresses !== true) return undefined;
  return {
    nodeName: node.name,
    podPrefixes,
    routerAddresses: routerAddresses(podPrefixes),
    mtu: overlayMtu(context.underlayMtu, node),
    bpfRoot: context.bpfRoot,
  };
}

function sameFamily(a: string, b: string): boolean {
  return a.includes(":") === b.includes(":");
}
