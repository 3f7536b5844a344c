// `mesh service list`: the services of a node's cluster, and which clusters answer for them.
import type { AgentFrontend, AgentGroup, AgentService } from "../api/agent-messages.ts";
import { formatJson, formatTable, parseOutputFormat, type Column } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import { formatHostPort } from "./bpf-node.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh service list [--namespace NAME] [--node NAME | --socket PATH] [--output table|json]

Shows every service with its addresses and, for each cluster that has backends, their number.
Clusters stand in the order in which they are used; those that get new connections now are marked
with "*", those that may get none are put in brackets.

  --namespace NAME only the services of one namespace
${AGENT_USAGE}
Examples:
  mesh service list --node east-node1
  mesh service list --node east-node1 --namespace shop --output json
`;

const FLAGS = { ...AGENT_FLAGS, namespace: { type: "string" } } as const;

export const serviceListCommand: Command = {
  name: "service list",
  summary: "services, and the clusters that answer for them",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot list "${positionals[0]}": use \`mesh service get\``, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const { services } = await askAgent(values, {
      context,
      ask: (client, signal) => client.listServices({ namespace: values.namespace ?? "" }, signal),
    });
    context.stdout.write(format === "json" ? formatJson(services) : formatServiceList(services));
    return 0;
  },
};

interface Row {
  readonly service: AgentService;
  readonly frontend: AgentFrontend | undefined;
}

/** A line a frontend; a service without one has a line as well. */
export function formatServiceList(services: readonly AgentService[]): string {
  const rows = services.flatMap((service): Row[] =>
    service.frontends.length === 0
      ? [{ service, frontend: undefined }]
      : service.frontends.map((frontend) => ({ service, frontend })),
  );
  return formatTable(COLUMNS, rows);
}

/** `east 3*`: in use; `(west 2)`: may get no new connections. */
export function formatGroups(groups: readonly AgentGroup[]): string {
  if (groups.length === 0) return "nobody";
  return groups
    .map(({ cluster, clusterId, backendCount, usable, inUse }) => {
      const text = `${cluster === "" ? `id ${clusterId}` : cluster} ${backendCount}`;
      if (inUse) return `${text}*`;
      return usable ? text : `(${text})`;
    })
    .join(", ");
}

export function formatFrontend({ address, port, protocol }: AgentFrontend): string {
  return `${formatHostPort(address, port)}/${protocol}`;
}

const COLUMNS: readonly Column<Row>[] = [
  { header: "SERVICE", text: ({ service }) => `${service.namespace}/${service.name}` },
  { header: "SCOPE", text: ({ service }) => formatScope(service) },
  { header: "AFFINITY", text: ({ service }) => (service.global ? service.affinity : "-") },
  {
    header: "FRONTEND",
    text: ({ frontend }) => (frontend === undefined ? "-" : formatFrontend(frontend)),
  },
  {
    header: "BACKENDS",
    text: ({ frontend }) => (frontend === undefined ? "-" : formatGroups(frontend.groups)),
  },
];

export function formatScope({ global, shared }: AgentService): string {
  if (!global) return "cluster";
  return shared ? "global" : "global, not shared";
}
