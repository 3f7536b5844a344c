// `mesh policy list`: the policies of a node's cluster, and what of them cannot be honoured.
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { formatPolicyList } from "./show-policy.ts";

const USAGE = `Usage: mesh policy list [--in NAMESPACE] [--node NAME | --socket PATH] [--output table|json]

Shows every policy of the node's cluster: in which directions it closes its pods, how many pods of
this node it is about, how many entries it costs in their maps, and whether it is in force there.
Below stands what of a policy cannot be honoured (layer 7, names of hosts, …) and what becomes of
the traffic: it fails closed. The exit status is 0 if all of every policy is honoured, otherwise 1.

  --in NAMESPACE   only the policies of one namespace
${AGENT_USAGE}
Examples:
  mesh policy list --node east-node1
  mesh policy list --node east-node1 --in shop --output json
`;

const FLAGS = { ...AGENT_FLAGS, in: { type: "string" } } as const;

export const policyListCommand: Command = {
  name: "policy list",
  summary: "policies, and what of them cannot be honoured",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot list "${positionals[0]}": use \`mesh policy get\``, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const { policies } = await askAgent(values, {
      context,
      ask: (client, signal) => client.listPolicies({ namespace: values.in ?? "" }, signal),
    });
    const { stdout } = context;
    stdout.write(format === "json" ? formatJson(policies) : formatPolicyList(policies, stdout));
    return policies.some(({ refusals }) => refusals.length > 0) ? 1 : 0;
  },
};
