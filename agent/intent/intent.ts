// What the agent has been told, as tables: our own cluster's nodes, addresses and services, and
// the same of every connected cluster. Filled by sessions (intent/own-cluster.ts, intent/peers.ts),
// read by the planners in agent/desired/.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { EndpointAddress, MeshNode } from "../../mesh/core/node.ts";
import type { Policy } from "../../mesh/core/policy.ts";
import type { ClusterService, LocalService } from "../../mesh/core/service.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import type { IdentityRecord } from "../../mesh/kvstore/records/identity.ts";
import type { ConfiguredPeer } from "../../mesh/kvstore/records/peers.ts";
import type { LocalPod } from "../../mesh/kvstore/records/pod.ts";

/** What every cluster tells, our own included. */
export interface ClusterIntent {
  readonly cluster: ClusterIdentity;
  /** By node name. */
  readonly nodes: Table<MeshNode>;
  /** By address or prefix. */
  readonly endpoints: Table<EndpointAddress>;
  /**
   * By number: the label sets that the cluster's numbers stand for. Our own are all there, and
   * are never synced while our own apiserver knows no policies.
   */
  readonly identities: Table<IdentityRecord>;
  /** By id: what the cluster orders of itself. Never synced for one that knows no drains. */
  readonly drains: Table<DrainRecord>;
}

/** A connected cluster. The row is replaced as a whole when the cluster's id changes. */
export interface PeerIntent extends ClusterIntent {
  /** By `namespace/name`; what the cluster offers to others. */
  readonly services: Table<ClusterService>;
}

export interface OwnIntent extends ClusterIntent {
  /** By `namespace/name`; all of our own, global or not. */
  readonly services: Table<LocalService>;
  /** By cluster name: which peers there should be, reached or not. */
  readonly configuredPeers: Table<ConfiguredPeer>;
  /** By id: what our own cluster alone does about others. */
  readonly localDrains: Table<DrainRecord>;
  /** By `policyKey`. Never synced while our own apiserver knows no policies. */
  readonly policies: Table<Policy>;
  /** By `namespace/name`: pods that are bound to this agent's node. Synced as `policies` is. */
  readonly pods: Table<LocalPod>;
}

export interface Intent {
  readonly own: OwnIntent;
  /** By cluster name. A row goes when the cluster's config is deleted, and for no other reason. */
  readonly peers: Table<PeerIntent>;
}
