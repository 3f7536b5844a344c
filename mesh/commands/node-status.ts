// `mesh node status`: what a node's agent knows, what it has done, and what it cannot do.
import type {
  AgentCluster,
  AgentFlowResets,
  AgentReconciler,
  AgentStatus,
} from "../api/agent-messages.ts";
import { formatTable, styled, type Column, type Output } from "../terminal.ts";
import { AGENT_USAGE, createAgentCommand } from "./agent-node.ts";

const USAGE = `Usage: mesh node status [--node NAME | --socket PATH] [--output table|json]

Shows a node's agent: the clusters it hears of and whether new connections may go to them, how many
flows it has ended since it started and why, and how much of what is desired the node has. The exit
status is 0 if the agent is ready and nothing has failed, otherwise 1; a cluster that is drained or
down is no failure of the node.

${AGENT_USAGE}
Examples:
  mesh node status --node east-node1
  mesh node status --socket /run/tombolo/agent.sock --output json
`;

export const nodeStatusCommand = createAgentCommand({
  name: "node status",
  summary: "a node's agent: clusters, sessions, what is applied and what failed",
  usage: USAGE,
  ask: (client, signal) => client.getStatus({}, signal),
  format: formatNodeStatus,
  isWell: isNodeWell,
});

export function isNodeWell({ ready, reconcilers }: AgentStatus): boolean {
  return ready && reconcilers.every(({ failed }) => failed === 0);
}

export function formatNodeStatus(status: AgentStatus, output: Output): string {
  const { node, cluster, clusterId, version, ready, podPrefixes, mtu } = status;
  const state = ready ? styled(output, "green", "ready") : styled(output, "yellow", "not ready");
  const remarks = [
    ...status.reasons,
    ...status.clusters.flatMap(remarksOfCluster),
    ...(status.flows?.lastProblem ? [`flows: ${status.flows.lastProblem}`] : []),
    ...status.reconcilers.flatMap(({ name, failedLatest }) =>
      failedLatest.map(({ key, reason }) => `${name} ${key}: ${reason}`),
    ),
  ];
  const lines = remarks.map((remark) => `${styled(output, "yellow", "!")} ${remark}\n`);
  return [
    `${node} of cluster ${cluster} (id ${clusterId}), Tombolo ${version}: ${state}\n`,
    podPrefixes.length === 0 ? "" : `pods ${podPrefixes.join(" ")}, MTU ${mtu}\n`,
    status.flows === null ? "" : `${formatFlows(status.flows)}\n`,
    `\n${formatTable(CLUSTER_COLUMNS, status.clusters)}`,
    `\n${formatTable(RECONCILER_COLUMNS, status.reconcilers)}`,
    lines.length === 0 ? "" : `\n${lines.join("")}`,
  ].join("");
}

/** `flows ended 12: cluster-down 10, drain 2; failures 1`. */
function formatFlows({ ended, failures }: AgentFlowResets): string {
  const total = ended.reduce((sum, { flows }) => sum + flows, 0);
  const parts = ended.flatMap(({ reason, flows }) => (flows === 0 ? [] : [`${reason} ${flows}`]));
  const reasons = parts.length === 0 ? "" : `: ${parts.join(", ")}`;
  return `flows ended ${total}${reasons}${failures === 0 ? "" : `; failures ${failures}`}`;
}

function remarksOfCluster(cluster: AgentCluster): string[] {
  const { name, session, reason, listed, rejected, rejectedLatest } = cluster;
  return [
    ...(reason === "" ? [] : [`cluster ${name} is ${session}: ${reason}`]),
    ...(listed ? [] : [`cluster ${name} is not listed any more, but its removal is not certain`]),
    ...(rejected === 0
      ? []
      : [`cluster ${name}: ${rejected} records refused, last: ${rejectedLatest.join("; ")}`]),
  ];
}

const CLUSTER_COLUMNS: readonly Column<AgentCluster>[] = [
  { header: "CLUSTER", text: ({ name, own }) => (own ? `${name} (own)` : name) },
  { header: "ID", align: "right", text: ({ id }) => (id === 0 ? "-" : String(id)) },
  { header: "SESSION", text: ({ session }) => session },
  { header: "HEARTBEAT", align: "right", text: formatHeartbeat },
  { header: "NODES", align: "right", text: ({ nodes }) => String(nodes) },
  { header: "ENDPOINTS", align: "right", text: ({ endpoints }) => String(endpoints) },
  { header: "SERVICES", align: "right", text: ({ services }) => String(services) },
  { header: "REFUSED", align: "right", text: ({ rejected }) => String(rejected) },
  { header: "NEW CONNECTIONS", text: formatUsability },
];

const RECONCILER_COLUMNS: readonly Column<AgentReconciler>[] = [
  { header: "TABLE", text: ({ name }) => name },
  { header: "DESIRED", align: "right", text: ({ desired }) => String(desired) },
  { header: "APPLIED", align: "right", text: ({ applied }) => String(applied) },
  { header: "FAILED", align: "right", text: ({ failed }) => String(failed) },
  { header: "CONTESTED", align: "right", text: ({ contested }) => String(contested) },
  { header: "PRUNED", text: ({ pruned }) => (pruned ? "yes" : "not yet") },
];

function formatHeartbeat({ heartbeatAgeSeconds }: AgentCluster): string {
  return heartbeatAgeSeconds < 0 ? "-" : `${Math.round(heartbeatAgeSeconds)}s ago`;
}

function formatUsability(cluster: AgentCluster): string {
  if (cluster.session === "refused") return "-";
  if (cluster.drillSeconds > 0) return `no: drill for ${Math.ceil(cluster.drillSeconds)}s more`;
  if (cluster.health === "down") return "no: down";
  if (cluster.drainedPercent >= 100) return "drained: only where nobody else can serve";
  if (cluster.health === "last-resort") return "only where nobody else can serve";
  if (cluster.health === "suspect") return "yes, suspect";
  return cluster.drainedPercent > 0 ? `yes, drained by ${cluster.drainedPercent} %` : "yes";
}
