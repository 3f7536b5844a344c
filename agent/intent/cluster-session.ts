// One cluster's records as the agent reads them from its own etcd: which kinds, into which tables.
// How they are read, and what their absence means, is mesh/kvstore/session.ts.
import { isDeepStrictEqual } from "node:util";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { EndpointAddress, MeshNode } from "../../mesh/core/node.ts";
import type { Policy } from "../../mesh/core/policy.ts";
import type { ClusterService, LocalService } from "../../mesh/core/service.ts";
import { createTable, type WritableTable } from "../../mesh/core/table.ts";
import { sameDrain, type DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import type { IdentityRecord } from "../../mesh/kvstore/records/identity.ts";
import { sameConfiguredPeer, type ConfiguredPeer } from "../../mesh/kvstore/records/peers.ts";
import { sameLocalPod, type LocalPod } from "../../mesh/kvstore/records/pod.ts";
import { samePolicy } from "../../mesh/kvstore/records/policy.ts";
import {
  configuredPeersKind,
  drainsKind,
  endpointsKind,
  identitiesKind,
  localDrainsKind,
  localIdentitiesKind,
  localServicesKind,
  nodePodsKind,
  nodesKind,
  policiesKind,
  servicesKind,
} from "../../mesh/kvstore/records/session-kinds.ts";
import type { SessionKind } from "../../mesh/kvstore/session-kind.ts";
import type { ClusterSession } from "../../mesh/kvstore/session.ts";
import type { OwnIntent, PeerIntent } from "./intent.ts";

export interface SessionRequest {
  readonly cluster: ClusterIdentity;
  readonly kinds: readonly SessionKind<unknown>[];
}

/** Opens a session with the agent's own etcd. */
export type OpenSession = (request: SessionRequest) => ClusterSession;

export interface IntentSession<Intent> {
  readonly intent: Intent;
  readonly session: ClusterSession;
}

/** `node` is the agent's own: it reads the pods of no other. */
export function createOwnSession(
  place: { readonly cluster: ClusterIdentity; readonly node: string },
  open: OpenSession,
): IntentSession<OwnIntent> {
  const { cluster, node } = place;
  const { name } = cluster;
  const nodes = createTable<MeshNode>({ name: `${name}/nodes` });
  const endpoints = createTable<EndpointAddress>({ name: `${name}/endpoints` });
  const identities = createIdentityTable(name);
  const policies = createTable<Policy>({ name: `${name}/policies`, equals: samePolicy });
  const pods = createTable<LocalPod>({ name: `${name}/pods`, equals: sameLocalPod });
  const services = createTable<LocalService>({ name: `${name}/services` });
  const configuredPeers = createTable<ConfiguredPeer>({
    name: `${name}/configured-peers`,
    equals: sameConfiguredPeer,
  });
  const drains = createDrainTable(`${name}/drains`);
  const localDrains = createDrainTable(`${name}/local-drains`);
  const layout = { cluster: name, layout: "state" } as const;
  const session = open({
    cluster,
    kinds: [
      nodesKind({ ...layout, table: nodes }),
      endpointsKind({ ...layout, table: endpoints }),
      localIdentitiesKind({ cluster: name, table: identities }),
      localServicesKind({ cluster: name, table: services }),
      configuredPeersKind({ cluster: name, table: configuredPeers }),
      drainsKind({ ...layout, table: drains }),
      localDrainsKind({ cluster: name, table: localDrains }),
      policiesKind({ cluster: name, table: policies }),
      nodePodsKind({ cluster: name, node, table: pods }),
    ],
  });
  return {
    intent: {
      cluster,
      nodes,
      endpoints,
      identities,
      services,
      configuredPeers,
      drains,
      localDrains,
      policies,
      pods,
    },
    session,
  };
}

/** A connected cluster, from the copy that our own apiserver keeps of it. */
export function createPeerSession(
  cluster: ClusterIdentity,
  open: OpenSession,
): IntentSession<PeerIntent> {
  const { name } = cluster;
  const nodes = createTable<MeshNode>({ name: `${name}/nodes` });
  const endpoints = createTable<EndpointAddress>({ name: `${name}/endpoints` });
  const identities = createIdentityTable(name);
  const services = createTable<ClusterService>({ name: `${name}/services` });
  const drains = createDrainTable(`${name}/drains`);
  const place = { cluster: name, layout: "cache" } as const;
  const session = open({
    cluster,
    kinds: [
      nodesKind({ ...place, table: nodes }),
      endpointsKind({ ...place, table: endpoints }),
      identitiesKind({ ...place, table: identities }),
      servicesKind({ ...place, table: services }),
      drainsKind({ ...place, table: drains }),
    ],
  });
  return { intent: { cluster, nodes, endpoints, identities, services, drains }, session };
}

function createIdentityTable(cluster: string): WritableTable<IdentityRecord> {
  return createTable<IdentityRecord>({ name: `${cluster}/identities`, equals: isDeepStrictEqual });
}

function createDrainTable(name: string): WritableTable<DrainRecord> {
  return createTable<DrainRecord>({ name, equals: sameDrain });
}
