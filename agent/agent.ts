// The agent without its process: intent, planners and reconcilers put together on the parts it is
// given. main.ts gives it the real ones, tests give it memory maps.
import type { Clock } from "../mesh/core/clock.ts";
import type { Logger } from "../mesh/core/logger.ts";
import { createReconciler, type Operations, type Reconciler } from "../mesh/core/reconciler.ts";
import type { Table } from "../mesh/core/table.ts";
import { runTasks, type Task } from "../mesh/core/tasks.ts";
import { createClusterSession, type ClusterSession } from "../mesh/kvstore/session.ts";
import type { ReadableStore } from "../mesh/kvstore/store.ts";
import type { DatapathMaps } from "../bpf/datapath.ts";
import { createClusterDrainTarget, type ClusterDrainMap } from "./apply/cluster-drain.ts";
import { createIpcacheOperations } from "./apply/ipcache-operations.ts";
import { ipcacheMapFromDatapath, serviceMapsFromDatapath } from "./apply/map-adapters.ts";
import type { BackendValue } from "./apply/service-maps.ts";
import { createServiceTarget } from "./apply/service-operations.ts";
import type { ServiceState } from "./apply/service-state.ts";
import type { AgentConfig, CniSettings } from "./config.ts";
import { createDrainPlanner, type DrainPlanner } from "./desired/drains.ts";
import { createIpcachePlanner } from "./desired/ipcache.ts";
import { createRoutePlanner } from "./desired/routes.ts";
import { createServicePlanner, type ServicePlanner } from "./desired/services.ts";
import type { Settlement } from "./desired/settlement.ts";
import { createOwnSession, type OpenSession } from "./intent/cluster-session.ts";
import type { Intent } from "./intent/intent.ts";
import { createPeers, type Peers } from "./intent/peers.ts";
import type { NodeRoute } from "./plan/plan-routes.ts";
import type { CidrRow } from "./policy/engine.ts";

export type AgentMaps = Pick<
  DatapathMaps,
  "services" | "groups" | "backendSlots" | "backends" | "affinity" | "ipcache"
>;

export interface AgentParts {
  readonly config: Pick<AgentConfig, "cluster" | "nodeName" | "overlay"> & {
    readonly cni?: Pick<CniSettings, "mode"> | undefined;
  };
  /** Our own cluster's etcd. */
  readonly store: ReadableStore;
  readonly maps: AgentMaps;
  readonly createRouteOperations: (settlement: Settlement) => Operations<NodeRoute>;
  /** What is known of backends' health; none is down if left out. Not asked before `run`. */
  readonly isBackendDown?: (backend: BackendValue) => boolean;
  readonly clusterState: ClusterDrainMap;
  /** Prefixes that policies name, for the ipcache; without them what it holds of such stays. */
  readonly cidrRows?: Table<CidrRow>;
  /** CLOCK_MONOTONIC, by which drains end. */
  readonly kernelNowNs: () => bigint;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** One desired table and how far the node has it. */
export interface AgentTable {
  readonly desired: Table<unknown>;
  readonly settlement: Settlement;
  readonly reconciler: Reconciler;
  contested(): number;
}

export interface Agent {
  readonly intent: Intent;
  readonly ownSession: ClusterSession;
  readonly peers: Peers;
  readonly services: ServicePlanner;
  readonly drains: DrainPlanner;
  /** What the service maps hold. */
  readonly serviceState: () => ServiceState;
  readonly tables: readonly AgentTable[];
  /** Resolves when the signal aborts; rejects with the first failure that ends the agent. */
  run(signal: AbortSignal): Promise<void>;
}

export function createAgent(parts: AgentParts): Agent {
  const { config, store, clock, random, log } = parts;
  const { cluster, nodeName } = config;
  const open: OpenSession = ({ cluster: { name, id }, kinds }) =>
    createClusterSession({
      cluster: name,
      expectedId: id,
      store,
      kinds,
      clock,
      random,
      log,
      drainOnConfigRemoval: name !== cluster.name,
    });
  const own = createOwnSession({ cluster, node: nodeName }, open);
  const peers = createPeers({
    own: cluster,
    configured: own.intent.configuredPeers,
    store,
    open,
    clock,
    random,
    log,
  });
  const intent: Intent = { own: own.intent, peers: peers.table };

  const isDown = parts.isBackendDown;
  const serviceTarget = createServiceTarget(serviceMapsFromDatapath(parts.maps, isDown));
  const drains = createDrainPlanner({
    intent,
    target: createClusterDrainTarget(parts.clusterState, parts),
    replan: (keys) => services.replan(keys),
    clock,
    log,
  });
  const services = createServicePlanner({
    intent,
    held: serviceTarget.held,
    isDown,
    drainedPercent: (service, name) => drains.percentOf(service, name),
    drainsKnown: (signal) => drains.known(signal),
    clock,
  });
  const { cidrRows } = parts;
  const ipcache = createIpcachePlanner({ intent, nodeName, cidrRows, clock });
  const routes = createRoutePlanner({
    intent,
    nodeName,
    underlayMtu: config.overlay.underlayMtu,
    foreignAddresses: config.cni?.mode === "chained",
    clock,
  });
  const ipcacheOperations = createIpcacheOperations({
    map: ipcacheMapFromDatapath(parts.maps.ipcache),
    settlement: ipcache.settlement,
    cidrsKnown: () => cidrRows?.synced === true,
  });
  const reconcile = <T>(desired: Table<T>, operations: Operations<T>): Reconciler =>
    createReconciler({ desired, operations, clock, random, log });
  const tables: readonly AgentTable[] = [
    { ...services, reconciler: reconcile(services.desired, serviceTarget.operations) },
    { ...ipcache, reconciler: reconcile(ipcache.desired, ipcacheOperations) },
    {
      ...routes,
      reconciler: reconcile(routes.desired, parts.createRouteOperations(routes.settlement)),
    },
  ];

  return {
    intent,
    ownSession: own.session,
    peers,
    services,
    drains,
    serviceState: serviceTarget.state,
    tables,
    run: (signal) =>
      runTasks(
        [
          task("own-session", own.session),
          task("peers", peers),
          task("drains", drains),
          task("plan-services", services),
          task("plan-ipcache", ipcache),
          task("plan-routes", routes),
          ...(cidrRows === undefined ? [] : [pruneWhenKnown(cidrRows, tables)]),
          ...tables.flatMap(({ desired, settlement, reconciler }) => [
            task(`reconcile-${desired.name}`, reconciler),
            {
              name: `prune-${desired.name}`,
              run: (inner: AbortSignal) => pruneWhenSettled({ settlement, reconciler }, inner),
            },
          ]),
        ],
        signal,
      ),
  };
}

/** A cluster that has settled after the first prune may leave something to prune. */
async function pruneWhenSettled(
  table: Pick<AgentTable, "settlement" | "reconciler">,
  signal: AbortSignal,
): Promise<void> {
  for await (const _ of table.settlement.changed.changes(signal)) table.reconciler.pruneAgain();
}

/** Rows of policies that are no more may be removed from the moment that all policies are known. */
function pruneWhenKnown(cidrRows: Table<CidrRow>, tables: readonly AgentTable[]): Task {
  const { reconciler } = tables.find(({ desired }) => desired.name === "ipcache") ?? {};
  let isKnown = false;
  return {
    name: "prune-cidrs",
    run: async (signal) => {
      for await (const _ of cidrRows.changes(signal)) {
        if (cidrRows.synced && !isKnown) reconciler?.pruneAgain();
        isKnown = cidrRows.synced;
      }
    },
  };
}

function task(name: string, part: { run(signal: AbortSignal): Promise<void> }): Task {
  return { name, run: (signal) => part.run(signal) };
}
