// `mesh health`: what one node has found out about the health of others, and on what it was decided.
import type { AgentClusterHealth, AgentHealth, AgentProbedNode } from "../api/agent-messages.ts";
import { formatTable, styled, type Column, type Output } from "../terminal.ts";
import { AGENT_USAGE, createAgentCommand } from "./agent-node.ts";

const USAGE = `Usage: mesh health [--node NAME | --socket PATH] [--output table|json]

Shows what a node has found out about the health of other clusters on the way that pods use, for
each address family: the state, since when, and on what it was decided; and the nodes that it probes
with their round trips. The exit status is 0 if no cluster is down and the node is not cut off,
otherwise 1.

${AGENT_USAGE}
Examples:
  mesh health --node east-node1
  mesh health --socket /run/tombolo/agent.sock --output json
`;

export const healthCommand = createAgentCommand({
  name: "health",
  summary: "what a node knows of other clusters' health, and why",
  usage: USAGE,
  ask: (client, signal) => client.getHealth({}, signal),
  format: formatHealth,
  isWell: isAllReached,
});

export function isAllReached({ isolated, clusters }: AgentHealth): boolean {
  return !isolated && clusters.every(({ state }) => state !== "down");
}

export function formatHealth(health: AgentHealth, output: Output): string {
  const { node, cluster, enabled, intervalMs, clusters, nodes } = health;
  if (!enabled) return `${node} of cluster ${cluster}: health is switched off\n`;
  const remarks = remarksOf(health).map((text) => `${styled(output, "yellow", "!")} ${text}\n`);
  return [
    `${node} of cluster ${cluster} probes ${nodes.length} addresses, a round every ${intervalMs} ms\n`,
    ...remarks,
    clusters.length === 0 ? "" : `\n${formatTable(clusterColumns(output), clusters)}`,
    nodes.length === 0 ? "" : `\n${formatTable(NODE_COLUMNS, nodes)}`,
  ].join("");
}

function remarksOf({
  isolated,
  problem,
  backendsDown,
  rounds,
  blindRounds,
}: AgentHealth): string[] {
  const late = rounds > 0 && blindRounds * 100 > rounds;
  return [
    ...(isolated ? ["nobody answers: this node's own uplink counts as down"] : []),
    ...(problem === "" ? [] : [problem]),
    ...(backendsDown === 0 ? [] : [`${backendsDown} backends are down`]),
    ...(late
      ? [`${blindRounds} of ${rounds} rounds came too late to count: the node is busy`]
      : []),
  ];
}

const COLOURS: Readonly<Record<string, "green" | "yellow" | "red">> = {
  healthy: "green",
  suspect: "yellow",
  recovering: "yellow",
  down: "red",
};

function clusterColumns(output: Output): readonly Column<AgentClusterHealth>[] {
  return [
    { header: "CLUSTER", text: ({ name }) => name },
    { header: "FAMILY", text: ({ family }) => `IPv${family}` },
    {
      header: "STATE",
      text: ({ state }) => {
        const colour = COLOURS[state];
        return colour === undefined ? state : styled(output, colour, state);
      },
    },
    { header: "SINCE", align: "right", text: ({ sinceSeconds }) => formatAge(sinceSeconds) },
    { header: "HELD BACK", align: "right", text: ({ heldBackPercent }) => `${heldBackPercent}%` },
    { header: "LOSS", align: "right", text: ({ lossPercent }) => `${lossPercent}%` },
    { header: "ROUND TRIP", align: "right", text: ({ roundTripMs }) => formatMs(roundTripMs) },
    { header: "USUAL", align: "right", text: ({ usualRoundTripMs }) => formatMs(usualRoundTripMs) },
    { header: "DECIDED ON", text: ({ evidence }) => evidence.slice(0, EVIDENCE_SHOWN).join(", ") },
  ];
}

/** In a table; JSON has all of it. */
const EVIDENCE_SHOWN = 4;

const NODE_COLUMNS: readonly Column<AgentProbedNode>[] = [
  { header: "NODE", text: ({ cluster, node }) => `${cluster}/${node}` },
  { header: "FAMILY", text: ({ family }) => `IPv${family}` },
  { header: "STATE", text: stateOfNode },
  { header: "SENT", align: "right", text: ({ sent }) => String(sent) },
  { header: "ANSWERED", align: "right", text: ({ answered }) => String(answered) },
  {
    header: "LAST ANSWER",
    align: "right",
    text: ({ lastAnswerMsAgo }) =>
      lastAnswerMsAgo < 0 ? "never" : `${formatMs(lastAnswerMsAgo)} ago`,
  },
  { header: "ROUND TRIP", align: "right", text: ({ roundTripMs }) => formatMs(roundTripMs) },
];

function stateOfNode({ down, answered }: AgentProbedNode): string {
  if (down) return "down";
  return answered === 0 ? "never heard" : "up";
}

function formatMs(ms: number): string {
  if (ms < 0) return "-";
  return ms < 10 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`;
}

function formatAge(seconds: number): string {
  if (seconds < 0) return "-";
  return seconds < 120 ? `${Math.round(seconds)}s` : `${Math.round(seconds / 60)}min`;
}
