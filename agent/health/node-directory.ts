// Which nodes there are in every cluster, where each is asked, and on which node an address lies:
// the intent tables as the prober needs them. A node that changes costs its own cluster only.
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { MeshNode } from "../../mesh/core/node.ts";
import { followPeers, followTable } from "../desired/follow.ts";
import type { ClusterIntent, Intent } from "../intent/intent.ts";
import { routerAddresses } from "../plan/plan-ipcache.ts";
import type { Family } from "./observation.ts";
import { rankNodes, type ProbeableNode, type RankedGroup } from "./targets.ts";

export interface NodeDirectory {
  /** Counts up with every change of what the other methods return. */
  readonly version: number;
  /** The nodes worth asking, by cluster and family. */
  ranked(): readonly RankedGroup[];
  /** Where a node is asked; undefined for one that has no address in the overlay. */
  probeAddress(node: {
    readonly clusterId: ClusterId;
    readonly family: Family;
    readonly node: string;
  }): string | undefined;
  /** The cluster's own name; undefined for one that is not connected. */
  clusterName(clusterId: ClusterId): string | undefined;
  /** The name of the node that runs what has the address. */
  nodeOfEndpoint(clusterId: ClusterId, address: string): string | undefined;
  /** Connected clusters and our own. */
  clusterIds(): Iterable<ClusterId>;
  /** Our own addresses in the overlay, by family: those that requests come from. */
  ownAddress(family: Family): string | undefined;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface NodeDirectoryOptions {
  readonly intent: Intent;
  readonly nodeName: string;
  readonly nodesPerCluster: number;
  readonly clock: Clock;
}

interface KnownCluster {
  readonly intent: ClusterIntent;
  readonly nodes: Map<string, ProbeableNode>;
  /** Node address → node name. */
  readonly names: Map<string, string>;
  /** Undefined after a change. */
  ranked: readonly RankedGroup[] | undefined;
}

export function createNodeDirectory(options: NodeDirectoryOptions): NodeDirectory {
  const { intent, nodeName, nodesPerCluster, clock } = options;
  const own = intent.own;
  const self = { cluster: own.cluster.name, node: nodeName };
  const clusters = new Map<ClusterId, KnownCluster>();
  let version = 0;
  let ownNode: MeshNode | undefined;
  const ownAddresses: Record<Family, string | undefined> = { 4: undefined, 6: undefined };

  function follow(cluster: ClusterIntent, signal: AbortSignal): Promise<void> {
    const known: KnownCluster = {
      intent: cluster,
      nodes: new Map(),
      names: new Map(),
      ranked: undefined,
    };
    clusters.set(cluster.cluster.id, known);
    version++;
    const onKey = (key: string): void => {
      update(known, key);
      known.ranked = undefined;
      version++;
    };
    return followTable(cluster.nodes, { clock, onKey, onSynced: () => {} }, signal);
  }

  return {
    get version() {
      return version;
    },
    ranked: () =>
      [...clusters.values()].flatMap(
        (known) => (known.ranked ??= rankNodes(known.nodes.values(), self, nodesPerCluster)),
      ),
    probeAddress({ clusterId, family, node }) {
      const found = clusters.get(clusterId)?.intent.nodes.get(node);
      return found === undefined ? undefined : overlayAddress(found, family);
    },
    clusterName: (clusterId) => clusters.get(clusterId)?.intent.cluster.name,
    nodeOfEndpoint(clusterId, address) {
      const known = clusters.get(clusterId);
      const hostIp = known?.intent.endpoints.get(address)?.hostIp;
      // What runs on the host's network has the node's own address.
      return known?.names.get(hostIp ?? address);
    },
    clusterIds: () => clusters.keys(),
    ownAddress(family) {
      const node = own.nodes.get(nodeName);
      if (node !== ownNode) {
        // Asked for in every round, and parsed only when the row is another one.
        ownNode = node;
        for (const each of [4, 6] as const)
          ownAddresses[each] = node === undefined ? undefined : overlayAddress(node, each);
      }
      return ownAddresses[family];
    },
    run: (signal) =>
      Promise.all([
        follow(own, signal),
        followPeers(
          intent.peers,
          {
            run: follow,
            onGone: (peer) => {
              if (clusters.get(peer.cluster.id)?.intent === peer) clusters.delete(peer.cluster.id);
              version++;
            },
          },
          signal,
        ),
      ]).then(() => undefined),
  };
}

/** By which a node is reached through the tunnel, as pods are. */
export function overlayAddress(node: MeshNode, family: Family): string | undefined {
  const ofFamily = (ip: string): boolean => ip.includes(":") === (family === 6);
  return (
    node.addresses.find(({ type, ip }) => type === "CiliumInternalIP" && ofFamily(ip))?.ip ??
    routerAddresses(node.podPrefixes).find(ofFamily)
  );
}

function update(known: KnownCluster, key: string): void {
  for (const [address, name] of known.names) if (name === key) known.names.delete(address);
  const node = known.intent.nodes.get(key);
  if (node === undefined) {
    known.nodes.delete(key);
    return;
  }
  for (const { type, ip } of node.addresses) if (type !== "Hostname") known.names.set(ip, key);
  known.nodes.set(key, {
    clusterId: known.intent.cluster.id,
    cluster: known.intent.cluster.name,
    node: key,
    families: ([4, 6] as const).filter((family) => overlayAddress(node, family) !== undefined),
  });
}
