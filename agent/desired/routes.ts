// Keeps the desired routes in step with the nodes of all clusters. One prefix, one route: of two
// nodes that claim the same, our own cluster's wins.
import type { Clock } from "../../mesh/core/clock.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";
import type { ClusterIntent, Intent, PeerIntent } from "../intent/intent.ts";
import { overlayMtu, planNodeRoutes, sameRoute, type NodeRoute } from "../plan/plan-routes.ts";
import { routerAddresses } from "../plan/plan-ipcache.ts";
import { createClaims, type ClaimSource } from "./claims.ts";
import { followPeers, followTable } from "./follow.ts";
import { awaitOwnNode } from "./own-node.ts";
import { createSettlement, listConnected, type Settlement } from "./settlement.ts";

export interface RoutePlannerOptions {
  readonly intent: Intent;
  readonly nodeName: string;
  readonly underlayMtu: number;
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
  const { intent, nodeName, underlayMtu, clock } = options;
  const { own, peers } = intent;
  const desired = createTable<NodeRoute>({ name: "routes", equals: sameRoute });
  const claims = createClaims(desired);
  const settlement = createSettlement({
    ownClusterId: own.cluster.id,
    clock,
    onReady: () => desired.markSynced(),
  });

  async function run(signal: AbortSignal): Promise<void> {
    const ownNode = await awaitOwnNode(own, { nodeName, signal });
    const ownRecord = own.nodes.get(nodeName);
    await listConnected({ settlement, peers }, signal);
    if (ownNode === undefined || ownRecord === undefined || signal.aborted) return;
    const context = {
      ownNode,
      mtu: overlayMtu(underlayMtu, ownRecord),
      sources: routerAddresses(ownRecord.podPrefixes),
    };
    const sources = new Map<ClusterIntent, ClaimSource<NodeRoute>>();
    const followCluster = (cluster: ClusterIntent, inner: AbortSignal): Promise<void> => {
      const source = claims.source(cluster === own ? 0 : cluster.cluster.id);
      sources.set(cluster, source);
      settlement.list(cluster.cluster.id);
      const onKey = (key: string): void => {
        const node = cluster.nodes.get(key);
        const routes = node === undefined ? [] : planNodeRoutes(node, context);
        source.claim(
          key,
          routes.map((row) => ({ key: row.prefix, row })),
        );
      };
      const onSynced = (): void => settlement.settle(cluster.cluster.id);
      return followTable(cluster.nodes, { clock, onKey, onSynced }, inner);
    };
    await Promise.all([
      settlement.run(signal),
      followCluster(own, signal),
      followPeers(
        peers,
        {
          run: followCluster,
          onGone: (peer: PeerIntent) => {
            settlement.gone(peer.cluster.id);
            sources.get(peer)?.clear();
            sources.delete(peer);
          },
        },
        signal,
      ),
    ]);
  }

  return { desired, settlement, contested: () => claims.contested(), run };
}
