// The health of others as a node sees it, put together from its real parts: maps, sockets, intent.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { EventSink } from "../../mesh/operations/event.ts";
import type { Agent } from "../agent.ts";
import { createBackendHealthTarget } from "../apply/backend-health.ts";
import { createClusterHealthTarget } from "../apply/cluster-health.ts";
import type { BackendValue } from "../apply/service-maps.ts";
import type { HealthSettings } from "../config.ts";
import { servicesWithBackends } from "./affected-services.ts";
import type { EchoSocket } from "./echo-socket.ts";
import { heardRequests } from "./cluster-rows.ts";
import { createHealth, type Health, type HealthParts } from "./health.ts";
import { createJudge } from "./judge.ts";
import { createNodeDirectory } from "./node-directory.ts";
import type { Family } from "./observation.ts";
import { createEvidenceReader } from "./passive-evidence.ts";
import { createProbePlan } from "./probe-plan.ts";
import { createProbeRows, targetKey } from "./probe-rows.ts";

export type HealthMaps = Pick<
  DatapathMaps,
  "probes" | "probeRequests" | "clusterEvidence" | "backendEvidence" | "clusterState" | "backends"
>;

export interface NodeHealthOptions {
  readonly settings: HealthSettings;
  readonly cluster: ClusterIdentity;
  readonly nodeName: string;
  readonly agent: Pick<Agent, "intent" | "serviceState" | "services">;
  readonly maps: HealthMaps;
  readonly openSocket: (family: Family, source: string) => EchoSocket;
  readonly flows: HealthParts["flows"];
  readonly events: EventSink;
  /** 64 random bits, never 0. */
  readonly newCookie: () => bigint;
  readonly clock: Clock;
  readonly kernelNowNs: () => bigint;
  readonly log: Logger;
}

export interface NodeHealth {
  isBackendDown(backend: BackendValue): boolean;
  backendsDown(): number;
  /** Undefined when health is switched off; then nothing is held against anybody. */
  readonly health: Health | undefined;
}

export function createNodeHealth(options: NodeHealthOptions): NodeHealth {
  const { settings, cluster, nodeName, agent, maps, clock, log } = options;
  const { intervalMs, nodesPerCluster, holdDownMaxMs } = settings;
  const { intent, serviceState } = agent;
  const clusters = createClusterHealthTarget(maps.clusterState);
  const directory = createNodeDirectory({ intent, nodeName, nodesPerCluster, clock });
  const rows = createProbeRows({ map: maps.probes, newCookie: options.newCookie });
  const backends = createBackendHealthTarget({
    map: maps.backends,
    state: serviceState,
    own: { clusterId: cluster.id, node: nodeName },
    clusterName: (id) => directory.clusterName(id),
    nodeOf: (id, address) => directory.nodeOfEndpoint(id, address),
    isHeard: ({ clusterId, family, node = "" }) =>
      rows.isHeard(targetKey({ clusterId, family, node })),
  });
  if (!settings.enabled) {
    for (const id of clusters.impaired()) clusters.forget(id);
    backends.forget();
    return { isBackendDown: () => false, backendsDown: () => 0, health: undefined };
  }
  const serviceOf = (key: string): string | undefined => agent.services.desired.get(key)?.service;
  const health = createHealth({
    intervalMs,
    cluster,
    judge: createJudge({
      ownClusterId: cluster.id,
      ownNode: nodeName,
      downBefore: clusters.downBefore,
      limits: { intervalMs, holdDownMaxMs },
    }),
    directory,
    rows,
    plan: createProbePlan({
      directory,
      rows,
      intervalMs,
      nodesPerCluster,
      onRefused: (count) => log.warn("Nodes are not probed: too many", { count }),
    }),
    evidence: createEvidenceReader({ maps, placeOf: (id) => backends.placeOf(id) }),
    heardRequests: (ids) => heardRequests(maps.probeRequests, ids),
    clusters,
    backends,
    openSocket: options.openSocket,
    flows: options.flows,
    replanBackends: (ids) =>
      agent.services.replan(servicesWithBackends(ids, { state: serviceState(), serviceOf })),
    events: options.events,
    clock,
    kernelNowNs: options.kernelNowNs,
    log,
  });
  return {
    isBackendDown: (backend) => backends.isDown(backend),
    backendsDown: () => backends.downCount(),
    health,
  };
}
