// `mesh endpoint list`: the pods of a node, and the policy in force at each.
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { formatEndpointList } from "./show-endpoint.ts";

const USAGE = `Usage: mesh endpoint list [--in NAMESPACE] [--node NAME | --socket PATH] [--output table|json]

Shows the pods of the node: identity, addresses, whether they drop what no rule allows, how many
entries their policy has, and whether it is in force. The exit status is 0 if every pod has what its
policies ask for, otherwise 1.

  --in NAMESPACE   only the pods of one namespace
${AGENT_USAGE}
Examples:
  mesh endpoint list --node east-node1
  mesh endpoint list --node east-node1 --in shop --output json
`;

const FLAGS = { ...AGENT_FLAGS, in: { type: "string" } } as const;

export const endpointListCommand: Command = {
  name: "endpoint list",
  summary: "pods of a node, and the policy in force at each",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot list "${positionals[0]}": use \`mesh endpoint get\``, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const { endpoints } = await askAgent(values, {
      context,
      ask: (client, signal) => client.listEndpoints({ namespace: values.in ?? "" }, signal),
    });
    const { stdout } = context;
    stdout.write(format === "json" ? formatJson(endpoints) : formatEndpointList(endpoints, stdout));
    return endpoints.every(({ inForce, problem }) => inForce && problem === "") ? 0 : 1;
  },
};
