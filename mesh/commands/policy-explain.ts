// `mesh policy explain`: what holds at a pod, and which policies make it so.
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { parsePodArgument } from "./endpoint-get.ts";
import { formatExplanation } from "./show-policy.ts";

const USAGE = `Usage: mesh policy explain NAMESPACE/POD [--node NAME | --socket PATH] [--output table|json]

Shows what holds at a pod of the node, for each direction: whether it drops what no rule allows and
because of which policies, and all rules that are about it.

${AGENT_USAGE}
Examples:
  mesh policy explain shop/cart-1 --node east-node1
  mesh policy explain shop/cart-1 --node east-node1 --output json
`;

export const policyExplainCommand: Command = {
  name: "policy explain",
  summary: "what holds at a pod, and because of which policies",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: AGENT_FLAGS, usage: USAGE });
    const pod = parsePodArgument(positionals, { what: "explain", usage: USAGE });
    const format = parseOutputFormat(values.output);
    const { endpoint, all } = await askAgent(values, {
      context,
      ask: async (client, signal) => ({
        ...(await client.getEndpoint(pod, signal)),
        all: (await client.listPolicies({ namespace: "" }, signal)).policies,
      }),
    });
    const policies = all.filter(({ endpoints }) =>
      endpoints.includes(`${pod.namespace}/${pod.name}`),
    );
    const { stdout } = context;
    stdout.write(
      format === "json"
        ? formatJson({ endpoint: { ...endpoint, entries: [] }, policies })
        : formatExplanation(endpoint, policies, stdout),
    );
    return 0;
  },
};
