// One cluster's records as the agent reads them from its own etcd: which kinds, into which tables.
// How they are read, and what their absence means, is mesh/kvstore/session.ts.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { EndpointAddress, MeshNode } from "../../mesh/core/node.ts";
import type { ClusterService, LocalService } from "../../mesh/core/service.ts";
import { createTable, type WritableTable } from "../../mesh/core/table.ts";
import { sameDrain, type DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import { sameConfiguredPeer, type ConfiguredPeer } from "../../mesh/kvstore/records/peers.ts";
import {
  configuredPeersKind,
  drainsKind,
  endpointsKind,
  localDrainsKind,
  localServicesKind,
  nodesKind,
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

export function createOwnSession(
  cluster: ClusterIdentity,
  open: OpenSession,
): IntentSession<OwnIntent> {
  const { name } = cluster;
  const nodes = createTable<MeshNode>({ name: `${name}/nodes` });
  const endpoints = createTable<EndpointAddress>({ name: `${name}/endpoints` });
  const services = createTable<LocalService>({ name: `${name}/services` });
  const configuredPeers = createTable<ConfiguredPeer>({
    name: `${name}/configured-peers`,
    equals: sameConfiguredPeer,
  });
  const drains = createDrainTable(`${name}/drains`);
  const localDrains = createDrainTable(`${name}/local-drains`);
  const place = { cluster: name, layout: "state" } as const;
  const session = open({
    cluster,
    kinds: [
      nodesKind({ ...place, table: nodes }),
      endpointsKind({ ...place, table: endpoints }),
      localServicesKind({ cluster: name, table: services }),
      configuredPeersKind({ cluster: name, table: configuredPeers }),
      drainsKind({ ...place, table: drains }),
      localDrainsKind({ cluster: name, table: localDrains }),
    ],
  });
  return {
    intent: { cluster, nodes, endpoints, services, configuredPeers, drains, localDrains },
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
  const services = createTable<ClusterService>({ name: `${name}/services` });
  const drains = createDrainTable(`${name}/drains`);
  const place = { cluster: name, layout: "cache" } as const;
  const session = open({
    cluster,
    kinds: [
      nodesKind({ ...place, table: nodes }),
      endpointsKind({ ...place, table: endpoints }),
      servicesKind({ ...place, table: services }),
      drainsKind({ ...place, table: drains }),
    ],
  });
  return { intent: { cluster, nodes, endpoints, services, drains }, session };
}

function createDrainTable(name: string): WritableTable<DrainRecord> {
  return createTable<DrainRecord>({ name, equals: sameDrain });
}
