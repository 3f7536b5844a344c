// What the status API answers, put together from the agent's state at the moment of the call.
import { MeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { LocalService } from "../../mesh/core/service.ts";
import type {
  AgentCluster,
  AgentFailover,
  AgentFlowResets,
  AgentFrontend,
  AgentGroup,
  AgentHealth,
  AgentMethods,
  AgentReconciler,
  AgentService,
  AgentStatus,
} from "../../mesh/api/agent-messages.ts";
import type { SessionStatus } from "../../mesh/kvstore/session.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Agent } from "../agent.ts";
import { readClusterUsability, type ClusterStateMap } from "../apply/cluster-state.ts";
import { yieldedPercent } from "../apply/yielded-percent.ts";
import type { FlowResetStatus } from "../flows/flow-reset.ts";
import type { ClusterIntent, OwnIntent, PeerIntent } from "../intent/intent.ts";
import type { CniNode } from "../plan/plan-routes.ts";
import type { Frontend } from "../plan/plan-service.ts";
import type { BackendGroup } from "../plan/rank-clusters.ts";
import { connectionShares, type SelectableGroup } from "../plan/selection-shares.ts";
import type { Readiness } from "./readiness.ts";

export interface ReportParts {
  readonly agent: Agent;
  readonly nodeName: string;
  readonly version: string;
  readonly clusterState: Pick<ClusterStateMap, "get">;
  readonly cniNode: () => CniNode | undefined;
  readonly readiness: () => Readiness;
  readonly health: () => AgentHealth;
  readonly flows: () => FlowResetStatus;
  readonly clock: Clock;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
  readonly startedMs: number;
}

/** Failed rows named in a status; the count tells of the rest. */
const FAILED_ROWS_SHOWN = 10;
const REJECTED_SHOWN = 5;

export function createReport(parts: ReportParts): AgentMethods<unknown> {
  return {
    getStatus: () => Promise.resolve(statusOf(parts)),
    getHealth: () => Promise.resolve(parts.health()),
    listServices({ namespace }) {
      const services: AgentService[] = [];
      const frontends = frontendsByService(parts.agent);
      for (const [key, local] of parts.agent.intent.own.services.entries()) {
        if (namespace !== "" && local.service.namespace !== namespace) continue;
        services.push(serviceOf(local, { parts, frontends: frontends.get(key) ?? [] }));
      }
      services.sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
      return Promise.resolve({ services });
    },
    getService({ namespace, name }) {
      const local = parts.agent.intent.own.services.get(`${namespace}/${name}`);
      if (local === undefined) {
        return Promise.reject(
          new MeshError("not_found", `Cannot find service "${namespace}/${name}"`, {
            hint: "a Service of that name must exist in this cluster; `mesh service list` shows all",
          }),
        );
      }
      const frontends = frontendsByService(parts.agent).get(`${namespace}/${name}`) ?? [];
      const service = serviceOf(local, { parts, frontends, backends: "shown" });
      return Promise.resolve({ service });
    },
  };
}

function statusOf(parts: ReportParts): AgentStatus {
  const { agent, clock } = parts;
  const { cluster } = agent.intent.own;
  const node = parts.cniNode();
  const { ready, reasons } = parts.readiness();
  const peers = agent.peers
    .status()
    .map(({ cluster: { name, id }, listed, session }) =>
      clusterOf(
        { name, id, own: false, listed, session, intent: agent.intent.peers.get(name) },
        parts,
      ),
    );
  return {
    version: parts.version,
    node: parts.nodeName,
    cluster: cluster.name,
    clusterId: cluster.id,
    uptimeSeconds: (clock.monotonicMs() - parts.startedMs) / 1_000,
    ready,
    reasons,
    clusters: [
      clusterOf(
        {
          name: cluster.name,
          id: cluster.id,
          own: true,
          listed: true,
          session: agent.ownSession.status(),
          intent: agent.intent.own,
        },
        parts,
      ),
      ...peers.sort((a, b) => (a.name < b.name ? -1 : 1)),
      ...[...agent.peers.refused].map(([name, reason]) => refusedCluster(name, reason)),
    ],
    reconcilers: agent.tables.map(reconcilerOf),
    podPrefixes: node?.podPrefixes ?? [],
    mtu: node?.mtu ?? 0,
    flows: flowResetsOf(parts.flows()),
  };
}

function flowResetsOf(status: FlowResetStatus): AgentFlowResets {
  const { resets, failures, lastProblem, followed, failed } = status;
  return {
    ended: Object.entries(resets).map(([reason, flows]) => ({ reason, flows })),
    failures,
    lastProblem,
    namespaces: followed,
    namespacesFailed: failed.size,
  };
}

interface ClusterSource {
  readonly name: string;
  readonly id: number;
  readonly own: boolean;
  readonly listed: boolean;
  readonly session: SessionStatus;
  readonly intent: OwnIntent | PeerIntent | ClusterIntent | undefined;
}

function clusterOf(source: ClusterSource, parts: ReportParts): AgentCluster {
  const { name, id, own, listed, session, intent } = source;
  const rejected = [...session.rejected.values()];
  const usability = readClusterUsability(parts.clusterState, {
    clusterId: id,
    kernelNowNs: parts.kernelNowNs(),
  });
  return {
    name,
    id,
    own,
    listed,
    session: session.state.kind,
    reason: sessionReason(session),
    nodes: intent?.nodes.size ?? 0,
    endpoints: intent?.endpoints.size ?? 0,
    services: intent !== undefined && "services" in intent ? intent.services.size : 0,
    rejected: rejected.reduce((sum, { count }) => sum + count, 0),
    rejectedLatest: rejected.flatMap(({ latest }) => latest).slice(-REJECTED_SHOWN),
    heartbeatAgeSeconds:
      session.lastHeartbeatMs === undefined
        ? -1
        : (parts.clock.monotonicMs() - session.lastHeartbeatMs) / 1_000,
    reconnections: session.reconnections,
    ...usability,
  };
}

function refusedCluster(name: string, reason: string): AgentCluster {
  return {
    name,
    id: 0,
    own: false,
    listed: true,
    session: "refused",
    reason,
    nodes: 0,
    endpoints: 0,
    services: 0,
    rejected: 0,
    rejectedLatest: [],
    heartbeatAgeSeconds: -1,
    reconnections: 0,
    usable: false,
    health: "",
    drainedPercent: 0,
    drillSeconds: 0,
  };
}

function sessionReason({ state }: SessionStatus): string {
  switch (state.kind) {
    case "connecting":
      return state.lastError === undefined ? "" : messageFromError(state.lastError);
    case "syncing":
      return `waiting for ${state.waitingFor}`;
    case "stale":
      return state.reason;
    case "ready":
      return "";
  }
}

function reconcilerOf(table: Agent["tables"][number]): AgentReconciler {
  const { name, applied, failed, pruned } = table.reconciler.status();
  return {
    name,
    desired: table.desired.size,
    applied,
    failed: failed.size,
    failedLatest: [...failed]
      .slice(0, FAILED_ROWS_SHOWN)
      .map(([key, error]) => ({ key, reason: messageFromError(error) })),
    synced: table.desired.synced,
    pruned,
    contested: table.contested(),
  };
}

function frontendsByService(agent: Agent): ReadonlyMap<string, readonly Frontend[]> {
  const found = new Map<string, Frontend[]>();
  for (const [, frontend] of agent.services.desired.entries()) {
    const list = found.get(frontend.service);
    if (list === undefined) found.set(frontend.service, [frontend]);
    else list.push(frontend);
  }
  return found;
}

interface ServiceContext {
  readonly parts: ReportParts;
  readonly frontends: readonly Frontend[];
  readonly backends?: "shown";
}

function serviceOf(local: LocalService, context: ServiceContext): AgentService {
  const { service, settings } = local;
  const { agent } = context.parts;
  const failed =
    agent.tables.find(({ desired }) => desired === agent.services.desired)?.reconciler.status()
      .failed ?? new Map<string, Error>();
  const frontends = [...context.frontends].sort((a, b) => (a.key < b.key ? -1 : 1));
  return {
    namespace: service.namespace,
    name: service.name,
    global: settings.global,
    shared: settings.global && settings.shared,
    affinity: settings.affinity,
    notes: agent.services.notes.get(`${service.namespace}/${service.name}`) ?? [],
    frontends: frontends.map((frontend) => frontendOf(frontend, { ...context, failed })),
  };
}

function frontendOf(
  frontend: Frontend,
  context: ServiceContext & { readonly failed: ReadonlyMap<string, Error> },
): AgentFrontend {
  const { address, port, protocol, portName, sessionAffinitySeconds, key } = frontend;
  const error = context.failed.get(key);
  const { clusterState, kernelNowNs } = context.parts;
  const now = { family: address.includes(":") ? 6 : 4, kernelNowNs: kernelNowNs() } as const;
  const yields = frontend.groups.map(({ clusterId }) =>
    yieldedPercent(clusterState.get(clusterId), now),
  );
  const selectable = frontend.groups.map((group, index) => selectableOf(group, yields[index]));
  const shares = connectionShares(selectable);
  return {
    address,
    port,
    protocol,
    portName,
    sessionAffinitySeconds,
    failure: error === undefined ? "" : messageFromError(error),
    failovers: frontend.groups.map(({ cluster }, failed) => {
      const after = connectionShares(
        selectable.map((group, index) =>
          index === failed ? { ...group, yields: undefined } : group,
        ),
      );
      return { cluster, shares: sharesOf(frontend.groups, after) };
    }),
    groups: frontend.groups.map((group, index) => {
      const { health, drainedPercent, drillSeconds } = readClusterUsability(clusterState, {
        clusterId: group.clusterId,
        kernelNowNs: now.kernelNowNs,
        family: now.family === 4 ? "ipv4" : "ipv6",
      });
      const share = shares[index] ?? 0;
      return {
        ...groupOf(group),
        usable: yields[index] !== undefined,
        inUse: share > 0,
        backends: context.backends === "shown" ? group.backends : [],
        sharePercent: share * 100,
        healthyBackends: group.healthy ?? group.backends.length,
        health,
        drainedPercent,
        drillSeconds,
      };
    }),
  };
}

function selectableOf(group: BackendGroup, yields: number | undefined): SelectableGroup {
  const { tier, weight, backends } = group;
  const healthy = group.healthy ?? backends.length;
  return { tier, weight, backends: backends.length, healthy, yields };
}

function sharesOf(
  groups: readonly BackendGroup[],
  shares: readonly number[],
): AgentFailover["shares"] {
  return groups.flatMap(({ cluster }, index) => {
    const share = shares[index] ?? 0;
    return share > 0 ? [{ cluster, percent: share * 100 }] : [];
  });
}

function groupOf(
  group: BackendGroup,
): Pick<AgentGroup, "cluster" | "clusterId" | "tier" | "weight" | "backendCount"> {
  const { cluster, clusterId, tier, weight, backends } = group;
  return { cluster, clusterId, tier, weight, backendCount: backends.length };
}
