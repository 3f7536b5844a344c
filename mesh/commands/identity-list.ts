// `mesh identity list`: the security identities of all clusters that a node knows.
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { formatIdentityList } from "./show-identity.ts";

const USAGE = `Usage: mesh identity list [--cluster NAME] [--node NAME | --socket PATH] [--output table|json]

Shows the security identities that the node knows: those of its own cluster and of all connected
ones, what is reserved, and the numbers that this node has given to CIDRs of policies. Pods with
equal labels share one.

  --cluster NAME   only those of one cluster
${AGENT_USAGE}
Examples:
  mesh identity list --node east-node1
  mesh identity list --node east-node1 --cluster west --output json
`;

const FLAGS = { ...AGENT_FLAGS, cluster: { type: "string" } } as const;

export const identityListCommand: Command = {
  name: "identity list",
  summary: "security identities of all clusters that a node knows",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot list "${positionals[0]}": use \`mesh identity get\``, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const request = { number: 0, cluster: values.cluster ?? "" };
    const { identities } = await askAgent(values, {
      context,
      ask: (client, signal) => client.listIdentities(request, signal),
    });
    context.stdout.write(
      format === "json" ? formatJson(identities) : formatIdentityList(identities),
    );
    return 0;
  },
};
