// Keeps the desired ipcache in step with intent: the addresses and nodes of all clusters, one
// record at a time. Our own cluster's claims win over a peer's, a node's over an endpoint's.
import type { Clock } from "../../mesh/core/clock.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { ClusterIntent, Intent, PeerIntent } from "../intent/intent.ts";
import type { CidrRow } from "../policy/engine.ts";
import {
  planCidrIpcache,
  planEndpointIpcache,
  planNodeIpcache,
  podPrefixesOf,
  sameIpcacheRow,
  type IpcacheRow,
} from "../plan/plan-ipcache.ts";
import { createClaims, type ClaimSource } from "./claims.ts";
import { followPeers, followTable } from "./follow.ts";
import { createPodPrefixes } from "./pod-prefixes.ts";
import { awaitOwnNode, ownNodeFrom } from "./own-node.ts";
import { createSettlement, listConnected, type Settlement } from "./settlement.ts";

export interface IpcachePlannerOptions {
  readonly intent: Intent;
  readonly nodeName: string;
  /** Prefixes that policies of this node name; none if left out. */
  readonly cidrRows?: Table<CidrRow> | undefined;
  readonly clock: Clock;
}

/** Behind everything that the mesh itself claims. */
const CIDR_RANK = Number.MAX_SAFE_INTEGER;

export interface IpcachePlanner {
  readonly desired: Table<IpcacheRow>;
  readonly settlement: Settlement;
  /** Prefixes that more than one record claims. */
  contested(): number;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createIpcachePlanner(options: IpcachePlannerOptions): IpcachePlanner {
  const { intent, nodeName, clock } = options;
  const { own, peers } = intent;
  const claims = createClaims({
    name: "ipcache",
    keyOf: (row: IpcacheRow) => row.prefix,
    equals: sameIpcacheRow,
  });
  const settlement = createSettlement({
    intent,
    clock,
    onReady: () => claims.markSynced(),
  });

  async function run(signal: AbortSignal): Promise<void> {
    const firstOwnNode = await awaitOwnNode(own, { nodeName, signal });
    await listConnected({ settlement, peers }, signal);
    if (firstOwnNode === undefined || signal.aborted) return;
    let ownNode = firstOwnNode;

    const planNode = (cluster: ClusterIntent, source: ClaimSource<IpcacheRow>, key: string) => {
      const node = cluster.nodes.get(key);
      source.claim(key, node === undefined ? [] : planNodeIpcache(node, ownNode));
      const prefixes = node === undefined ? [] : podPrefixesOf(node, ownNode);
      if (podPrefixes.set(`${cluster.cluster.name}/${key}`, prefixes)) planCidrs();
    };
    const planEndpoint = (cluster: ClusterIntent, source: ClaimSource<IpcacheRow>, key: string) => {
      const endpoint = cluster.endpoints.get(key);
      const context = { clusterId: cluster.cluster.id, ownNode };
      source.claim(key, endpoint === undefined ? [] : planEndpointIpcache(endpoint, context));
    };

    const cidrs = claims.source(CIDR_RANK);
    const podPrefixes = createPodPrefixes();
    const planCidr = (prefix: string): void => {
      const row = options.cidrRows?.get(prefix);
      const pods = podPrefixes.coverOf(prefix);
      cidrs.claim(prefix, row === undefined ? [] : planCidrIpcache(row, pods));
    };
    /** Nodes come seldom, and a node's policies name some hundred prefixes at the most. */
    const planCidrs = (): void => {
      for (const [prefix] of options.cidrRows?.entries() ?? []) planCidr(prefix);
    };
    const followCidrs = (rows: Table<CidrRow>): Promise<void> =>
      followTable(rows, { clock, onKey: planCidr, onSynced: () => {} }, signal);

    const sources = new Map<ClusterIntent, ClusterSources>();
    const followCluster = async (cluster: ClusterIntent, inner: AbortSignal): Promise<void> => {
      const rank = cluster === own ? 0 : cluster.cluster.id * 2;
      const nodes = claims.source(rank);
      const endpoints = claims.source(rank + 1);
      sources.set(cluster, { nodes, endpoints });
      settlement.list(cluster.cluster.id);
      let waiting = 2;
      const onSynced = (): void => {
        if (--waiting === 0) settlement.settle(cluster.cluster.id);
      };
      const onNode = (key: string): void => {
        if (cluster === own && key === nodeName) {
          const next = own.nodes.get(key);
          // A node that is no longer exported still runs: keep what is known of it.
          if (
            next !== undefined &&
            !sameAddresses(ownNode.addresses, ownNodeFrom(next).addresses)
          ) {
            ownNode = ownNodeFrom(next);
            for (const [name] of own.endpoints.entries()) planEndpoint(own, endpoints, name);
          }
        }
        planNode(cluster, nodes, key);
      };
      await Promise.all([
        followTable(cluster.nodes, { clock, onKey: onNode, onSynced }, inner),
        followTable(
          cluster.endpoints,
          { clock, onKey: (key) => planEndpoint(cluster, endpoints, key), onSynced },
          inner,
        ),
      ]);
    };

    await Promise.all([
      settlement.run(signal),
      followCluster(own, signal),
      ...(options.cidrRows === undefined ? [] : [followCidrs(options.cidrRows)]),
      followPeers(
        peers,
        {
          run: followCluster,
          onGone: (peer: PeerIntent) => {
            settlement.gone(peer.cluster.id);
            sources.get(peer)?.nodes.clear();
            sources.get(peer)?.endpoints.clear();
            sources.delete(peer);
            if (podPrefixes.forget(`${peer.cluster.name}/`)) planCidrs();
          },
        },
        signal,
      ),
    ]);
  }

  return { desired: claims.desired, settlement, contested: () => claims.contested(), run };
}

interface ClusterSources {
  readonly nodes: ClaimSource<IpcacheRow>;
  readonly endpoints: ClaimSource<IpcacheRow>;
}

function sameAddresses(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((address) => b.has(address));
}
