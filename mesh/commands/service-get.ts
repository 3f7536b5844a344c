// `mesh service get`: one service with every backend, and how clusters are chosen for it.
import type { AgentFrontend, AgentGroup, AgentService } from "../api/agent-messages.ts";
import {
  formatJson,
  formatTable,
  parseOutputFormat,
  styled,
  type Column,
  type Output,
} from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import { formatHostPort } from "./bpf-node.ts";
import type { Command } from "./command.ts";
import { formatFrontend, formatScope } from "./service-list.ts";

const USAGE = `Usage: mesh service get NAMESPACE/NAME [--node NAME | --socket PATH] [--output table|json]

Shows one service: for each of its addresses the clusters in the order in which they are used, with
tier, weight, backends (those that are up, of all), health, and the share of new connections that
goes there now. New connections go to the first tier that has a usable cluster with a weight above
0, and within it to clusters by weight; a drained cluster yields its share. Below stands where they
would go if one of the clusters failed.

${AGENT_USAGE}
Examples:
  mesh service get shop/cart --node east-node1
  mesh service get shop/cart --node east-node1 --output json
`;

export const serviceGetCommand: Command = {
  name: "service get",
  summary: "one service with its clusters, tiers, weights and backends",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: AGENT_FLAGS, usage: USAGE });
    const [namespace = "", name = "", ...rest] = (positionals[0] ?? "").split("/");
    if (positionals.length !== 1 || namespace === "" || name === "" || rest.length > 0) {
      throw usageError("Cannot show a service: want one NAMESPACE/NAME", USAGE);
    }
    const format = parseOutputFormat(values.output);
    const { service } = await askAgent(values, {
      context,
      ask: (client, signal) => client.getService({ namespace, name }, signal),
    });
    context.stdout.write(
      format === "json" ? formatJson(service) : formatService(service, context.stdout),
    );
    return 0;
  },
};

export function formatService(service: AgentService, output: Output): string {
  const affinity = service.global ? `, affinity ${service.affinity}` : "";
  const title = `${service.namespace}/${service.name}: ${formatScope(service)}${affinity}\n`;
  const frontends = service.frontends.map((frontend) => {
    const port = frontend.portName === "" ? "" : ` (port ${frontend.portName})`;
    const session =
      frontend.sessionAffinitySeconds === 0
        ? ""
        : `, clients stay ${frontend.sessionAffinitySeconds}s`;
    const head = `\n${styled(output, "bold", formatFrontend(frontend))}${port}${session}\n`;
    const body =
      frontend.groups.length === 0
        ? "nobody answers: new connections are refused\n"
        : formatTable(COLUMNS, frontend.groups) + formatFailovers(frontend);
    const failure =
      frontend.failure === "" ? "" : `${styled(output, "red", "!")} ${frontend.failure}\n`;
    return head + body + failure;
  });
  const notes = service.notes.map((note) => `${styled(output, "yellow", "!")} ${note}\n`);
  return [title, ...frontends, ...(notes.length === 0 ? [] : ["\n", ...notes])].join("");
}

const COLUMNS: readonly Column<AgentGroup>[] = [
  { header: "TIER", align: "right", text: ({ tier }) => String(tier) },
  {
    header: "CLUSTER",
    text: ({ cluster, clusterId }) => (cluster === "" ? `id ${clusterId}` : cluster),
  },
  { header: "WEIGHT", align: "right", text: ({ weight }) => String(weight) },
  { header: "STATE", text: formatState },
  {
    header: "UP",
    align: "right",
    text: (group) => `${group.healthyBackends}/${group.backendCount}`,
  },
  { header: "NEW CONNECTIONS", text: formatUse },
  {
    header: "BACKENDS",
    text: ({ backends }) =>
      backends.map(({ address, port }) => formatHostPort(address, port)).join(" "),
  },
];

function formatUse({ usable, sharePercent, weight, drainedPercent }: AgentGroup): string {
  if (sharePercent > 0) return formatPercent(sharePercent);
  if (!usable) return "no: cluster not usable";
  if (weight === 0) return "no: weight 0";
  return drainedPercent > 0 ? "if no other can serve" : "if better tiers fail";
}

/** `healthy, drained 25 %`. */
function formatState({ health, drainedPercent, drillSeconds }: AgentGroup): string {
  const drained = drainedPercent === 0 ? [] : [`drained ${drainedPercent} %`];
  const drilled = drillSeconds === 0 ? [] : [`drill, ${Math.ceil(drillSeconds)}s left`];
  return [health, ...drained, ...drilled].join(", ");
}

function formatPercent(percent: number): string {
  return percent < 1 ? "less than 1 %" : `${Math.round(percent)} %`;
}

function formatFailovers({ groups, failovers }: AgentFrontend): string {
  if (groups.length === 0) return "";
  const lines = failovers.map(({ cluster, shares }) => {
    const goes = shares
      .map((share) => `${share.cluster} ${formatPercent(share.percent)}`)
      .join(", ");
    return `if ${cluster} fails: ${goes === "" ? "new connections are refused" : goes}\n`;
  });
  return lines.join("");
}
