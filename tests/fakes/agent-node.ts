// A running agent for tests, on memory maps and a routing table in memory, and ways to look at
// what it made of them.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { systemClock, type Clock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { Operations } from "../../mesh/core/reconciler.ts";
import type { ReadableStore } from "../../mesh/kvstore/store.ts";
import {
  affinityMap,
  backendSlotsMap,
  backendsMap,
  clusterStateMap,
  groupsMap,
  ipcacheMap,
  servicesMap,
} from "../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../bpf/memory-map.ts";
import { createAgent, type Agent, type AgentMaps, type AgentParts } from "../../agent/agent.ts";
import { ipcacheMapFromDatapath, serviceMapsFromDatapath } from "../../agent/apply/map-adapters.ts";
import { readServiceState } from "../../agent/apply/service-state.ts";
import type { NodeRoute } from "../../agent/plan/plan-routes.ts";

export function createMemoryMaps(): AgentMaps {
  return {
    services: createMemoryMap(servicesMap),
    groups: createMemoryMap(groupsMap),
    backendSlots: createMemoryMap(backendSlotsMap),
    backends: createMemoryMap(backendsMap),
    affinity: createMemoryMap(affinityMap),
    ipcache: createMemoryMap(ipcacheMap),
  };
}

export interface RunningAgent {
  readonly agent: Agent;
  readonly routes: ReadonlyMap<string, NodeRoute>;
  /** As a kill would: nothing is tidied up. */
  stop(): Promise<void>;
}

export function startAgent(parts: {
  readonly cluster: ClusterIdentity;
  readonly nodeName: string;
  readonly store: ReadableStore;
  readonly maps: AgentMaps;
  readonly clusterState?: AgentParts["clusterState"];
  readonly clock?: Clock;
}): RunningAgent {
  const routes = new Map<string, NodeRoute>();
  const agent = createAgent({
    config: {
      cluster: parts.cluster,
      nodeName: parts.nodeName,
      overlay: { device: "tombolo_vxlan", port: 8472, underlayMtu: 1500 },
    },
    store: parts.store,
    maps: parts.maps,
    clusterState: parts.clusterState ?? createMemoryMap(clusterStateMap),
    kernelNowNs: () => process.hrtime.bigint(),
    createRouteOperations: () => routeOperations(routes),
    clock: parts.clock ?? systemClock,
    random: Math.random,
    log: silentLogger,
  });
  const end = new AbortController();
  const done = agent.run(end.signal);
  // A failure shows in the test that waits for what the agent no longer does.
  done.catch(() => {});
  return {
    agent,
    routes,
    async stop() {
      end.abort();
      await done;
    },
  };
}

/** What the service maps say, without ids: frontend → `tier/weight cluster: backends`. */
export function readFrontends(maps: AgentMaps): Record<string, string[]> {
  const state = readServiceState(serviceMapsFromDatapath(maps));
  const rows = [...state.frontends].map(([key, { groups }]): [string, string[]] => [
    key,
    groups.map(({ clusterId, tier, weight, slots }) => {
      const backends = slots
        .map((id) => state.backends.get(id)?.value)
        .map((backend) => `${backend?.address}:${backend?.port}`);
      return `${tier}/${weight} ${clusterId}: ${backends.sort().join(" ")}`;
    }),
  ]);
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Prefix → `identity@tunnel endpoint`. */
export function readIpcache(maps: AgentMaps): Record<string, string> {
  const rows = [...ipcacheMapFromDatapath(maps.ipcache).entries()].map(
    ({ prefix, identity, tunnelEndpoint }): [string, string] => [
      prefix,
      `${identity}@${tunnelEndpoint}`,
    ],
  );
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** System calls that wrote, over all maps. */
export function countWrites(maps: AgentMaps): number {
  const { services, groups, backendSlots, backends, ipcache } = maps;
  return [services, groups, backendSlots, backends, ipcache].reduce(
    (sum, { writes }) => sum + writes,
    0,
  );
}

function routeOperations(routes: Map<string, NodeRoute>): Operations<NodeRoute> {
  return {
    update(rows) {
      for (const { key, row } of rows) routes.set(key, row);
      return Promise.resolve(new Map());
    },
    delete(rows) {
      for (const { key } of rows) routes.delete(key);
      return Promise.resolve(new Map());
    },
    prune: () => Promise.resolve(),
  };
}
