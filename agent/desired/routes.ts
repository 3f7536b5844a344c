// Keeps the desired routes in step with the nodes of all clusters. One prefix, one route: of two
// nodes that claim the same, our own cluster's wins.
import type { Clock } from "../../mesh/core/clock.ts";
import type { MeshNode } from "../../mesh/core/node.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { ClusterIntent, Intent, PeerIntent } from "../intent/intent.ts";
import {
  overlayMtu,
  planNodeRoutes,
  sameRoute,
  type NodeRoute,
  type RouteContext,
} from "../plan/plan-routes.ts";
import { routerAddresses } from "../plan/plan-ipcache.ts";
import { createClaims, type ClaimSource } from "./claims.ts";
import { followPeers, followTable } from "./follow.ts";
import { awaitOwnNode, ownNodeFrom } from "./own-node.ts";
import { createSettlement, listConnected, type Settlement } from "./settlement.ts";

export interface RoutePlannerOptions {
  readonly intent: Intent;
  readonly nodeName: string;
  readonly underlayMtu: number;
  /** Another plugin gives this node's pods their addresses. */
  readonly foreignAddresses?: boolean;
  readonly clock: Clock;
}

export interface RoutePlanner {
  readonly desired: Table<NodeRoute>;
  readonly settlement: Settlement;
  /** Prefixes that more than one node claims. */
  contested(): number;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createRoutePlanner(options: RoutePlannerOptions): RoutePlanner {
  const { intent, nodeName, clock } = options;
  const { own, peers } = intent;
  const claims = createClaims({
    name: "routes",
    keyOf: (row: NodeRoute) => row.prefix,
    equals: sameRoute,
  });
  const settlement = createSettlement({
    intent,
    clock,
    onReady: () => claims.markSynced(),
  });

  async function run(signal: AbortSignal): Promise<void> {
    if ((await awaitOwnNode(own, { nodeName, signal })) === undefined) return;
    await listConnected({ settlement, peers }, signal);
    const firstNode = own.nodes.get(nodeName);
    if (firstNode === undefined || signal.aborted) return;
    let context = contextOf(firstNode, options);
    const sources = new Map<ClusterIntent, ClaimSource<NodeRoute>>();

    const plan = (cluster: ClusterIntent, key: string): void => {
      const node = cluster.nodes.get(key);
      sources.get(cluster)?.claim(key, node === undefined ? [] : planNodeRoutes(node, context));
    };
    /** All routes name our address and carry our MTU; both change next to never. */
    const followOwnNode = (): void => {
      const node = own.nodes.get(nodeName);
      // A node that is no longer exported still runs: keep what is known of it.
      if (node === undefined) return;
      const next = contextOf(node, options);
      if (next.mtu === context.mtu && next.sources.join() === context.sources.join()) return;
      context = next;
      for (const [cluster] of sources) {
        for (const [key] of cluster.nodes.entries()) plan(cluster, key);
      }
    };
    const followCluster = (cluster: ClusterIntent, inner: AbortSignal): Promise<void> => {
      sources.set(cluster, claims.source(cluster === own ? 0 : cluster.cluster.id));
      settlement.list(cluster.cluster.id);
      const onKey = (key: string): void => {
        if (cluster === own && key === nodeName) followOwnNode();
        plan(cluster, key);
      };
      const onSynced = (): void => settlement.settle(cluster.cluster.id);
      return followTable(cluster.nodes, { clock, onKey, onSynced }, inner);
    };
    const onGone = (peer: PeerIntent): void => {
      settlement.gone(peer.cluster.id);
      sources.get(peer)?.clear();
      sources.delete(peer);
    };
    await Promise.all([
      settlement.run(signal),
      followCluster(own, signal),
      followPeers(peers, { run: followCluster, onGone }, signal),
    ]);
  }

  return { desired: claims.desired, settlement, contested: () => claims.contested(), run };
}

function contextOf(
  node: MeshNode,
  {
    underlayMtu,
    foreignAddresses = false,
  }: Pick<RoutePlannerOptions, "underlayMtu" | "foreignAddresses">,
): RouteContext {
  return {
    foreignAddresses,
    ownNode: ownNodeFrom(node),
    mtu: overlayMtu(underlayMtu, node),
    sources: foreignAddresses ? [] : routerAddresses(node.podPrefixes),
  };
}
