// Intent that a test writes by hand: the tables that sessions would fill.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { EndpointAddress, MeshNode } from "../../mesh/core/node.ts";
import type { Policy } from "../../mesh/core/policy.ts";
import type { ClusterService, LocalService } from "../../mesh/core/service.ts";
import { createTable, type WritableTable } from "../../mesh/core/table.ts";
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import type { IdentityRecord } from "../../mesh/kvstore/records/identity.ts";
import type { ConfiguredPeer } from "../../mesh/kvstore/records/peers.ts";
import type { LocalPod } from "../../mesh/kvstore/records/pod.ts";
import type { Intent, PeerIntent } from "../../agent/intent/intent.ts";

export interface WritableCluster<Service> {
  readonly cluster: ClusterIdentity;
  readonly nodes: WritableTable<MeshNode>;
  readonly endpoints: WritableTable<EndpointAddress>;
  readonly identities: WritableTable<IdentityRecord>;
  readonly services: WritableTable<Service>;
  readonly drains: WritableTable<DrainRecord>;
  markSynced(): void;
}

export interface WritableIntent extends Intent {
  readonly own: WritableCluster<LocalService> & {
    readonly configuredPeers: WritableTable<ConfiguredPeer>;
    readonly localDrains: WritableTable<DrainRecord>;
    readonly policies: WritableTable<Policy>;
    readonly pods: WritableTable<LocalPod>;
  };
  readonly peers: WritableTable<PeerIntent>;
}

export function createTestCluster<Service>(cluster: ClusterIdentity): WritableCluster<Service> {
  const nodes = createTable<MeshNode>({ name: "nodes" });
  const endpoints = createTable<EndpointAddress>({ name: "endpoints" });
  const identities = createTable<IdentityRecord>({ name: "identities" });
  const services = createTable<Service>({ name: "services" });
  const drains = createTable<DrainRecord>({ name: "drains" });
  return {
    cluster,
    nodes,
    endpoints,
    identities,
    services,
    drains,
    markSynced() {
      nodes.markSynced();
      endpoints.markSynced();
      identities.markSynced();
      services.markSynced();
      drains.markSynced();
    },
  };
}

export function createTestIntent(cluster: ClusterIdentity): WritableIntent {
  return {
    own: {
      ...createTestCluster<LocalService>(cluster),
      configuredPeers: createTable<ConfiguredPeer>({ name: "configured-peers" }),
      localDrains: createTable<DrainRecord>({ name: "local-drains" }),
      policies: createTable<Policy>({ name: "policies" }),
      pods: createTable<LocalPod>({ name: "pods" }),
    },
    peers: createTable<PeerIntent>({ name: "peers" }),
  };
}

export function createTestPeer(cluster: ClusterIdentity): WritableCluster<ClusterService> {
  return createTestCluster<ClusterService>(cluster);
}
