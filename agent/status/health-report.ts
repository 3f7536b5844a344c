// What `mesh health` shows of a node, from the health loop's state at the moment of the call.
import type {
  AgentClusterHealth,
  AgentHealth,
  AgentProbedNode,
} from "../../mesh/api/agent-messages.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { clusterKey, type Health, type HealthStatus } from "../health/health.ts";
import type { ClusterView, ProbedTarget } from "../health/observation.ts";
import { targetKey } from "../health/probe-rows.ts";

export interface HealthReportParts {
  readonly node: string;
  readonly cluster: string;
  /** Undefined when health is switched off. */
  readonly health: Pick<Health, "status"> | undefined;
  readonly intervalMs: number;
  readonly backendsDown: () => number;
  readonly clock: Pick<Clock, "nowMs">;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
}

export function reportHealth(parts: HealthReportParts): AgentHealth {
  const { node, cluster, health, intervalMs } = parts;
  const about = { node, cluster, intervalMs };
  if (health === undefined) return { ...about, ...SWITCHED_OFF };
  const status = health.status();
  const { view, targets, rounds, blindRounds, problem } = status;
  const down = new Set(view.nodesDown.map(targetKey));
  const nowMs = Number(parts.kernelNowNs()) / 1e6;
  return {
    ...about,
    enabled: true,
    isolated: view.isolated,
    problem,
    rounds,
    blindRounds,
    clusters: view.clusters
      .map((seen) => clusterOf(seen, status, parts.clock.nowMs()))
      .sort((a, b) => compare(a.name, b.name) || a.family - b.family),
    nodes: targets
      .map((target) => nodeOf(target, { isDown: down.has(targetKey(target)), nowMs }))
      .sort(
        (a, b) => compare(a.cluster, b.cluster) || compare(a.node, b.node) || a.family - b.family,
      ),
    backendsDown: parts.backendsDown(),
  };
}

const SWITCHED_OFF = {
  enabled: false,
  isolated: false,
  problem: "",
  rounds: 0,
  blindRounds: 0,
  clusters: [],
  nodes: [],
  backendsDown: 0,
};

function clusterOf(seen: ClusterView, { since }: HealthStatus, nowMs: number): AgentClusterHealth {
  const turned = since.get(clusterKey(seen));
  return {
    name: seen.cluster,
    id: seen.clusterId,
    family: seen.family,
    state: seen.state,
    reason: seen.reason ?? "",
    sinceSeconds: turned === undefined ? -1 : Math.max(0, (nowMs - turned.atMs) / 1_000),
    heldBackPercent: seen.heldBackPercent,
    lossPercent: Math.round(seen.lossPercent),
    roundTripMs: seen.roundTripMs ?? -1,
    usualRoundTripMs: seen.usualRoundTripMs ?? -1,
    evidence: Object.entries(turned?.transition.evidence ?? {}).map(
      ([name, value]) => `${name} ${value}`,
    ),
  };
}

function nodeOf(
  target: ProbedTarget,
  { isDown, nowMs }: { readonly isDown: boolean; readonly nowMs: number },
): AgentProbedNode {
  const { cluster, node, family, sent, answered, lastAnswerMs, roundTripMs } = target;
  return {
    cluster,
    node,
    family,
    down: isDown,
    sent,
    answered,
    lastAnswerMsAgo: lastAnswerMs === undefined ? -1 : Math.max(0, nowMs - lastAnswerMs),
    roundTripMs: roundTripMs ?? -1,
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
