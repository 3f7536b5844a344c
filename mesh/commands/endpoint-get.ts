// `mesh endpoint get`: one pod of a node, with the entries of its policy map.
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { formatEndpoint } from "./show-endpoint.ts";

const USAGE = `Usage: mesh endpoint get NAMESPACE/POD [--node NAME | --socket PATH] [--output table|json]

Shows one pod of the node: who it is, which policy costs it how many entries, and the entries
themselves with the rule behind each. An entry names an exact identity, or one number for many:
anybody, pods of this or of other clusters, the world. Denied is what any fitting entry of the three
denies; else allowed is what any allows; all else is dropped.

${AGENT_USAGE}
Examples:
  mesh endpoint get shop/cart-1 --node east-node1
  mesh endpoint get shop/cart-1 --node east-node1 --output json
`;

export const endpointGetCommand: Command = {
  name: "endpoint get",
  summary: "one pod of a node, with the entries of its policy",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: AGENT_FLAGS, usage: USAGE });
    const pod = parsePodArgument(positionals, { what: "show", usage: USAGE });
    const format = parseOutputFormat(values.output);
    const { endpoint } = await askAgent(values, {
      context,
      ask: (client, signal) => client.getEndpoint(pod, signal),
    });
    const { stdout } = context;
    stdout.write(format === "json" ? formatJson(endpoint) : formatEndpoint(endpoint, stdout));
    return 0;
  },
};

/** The one word NAMESPACE/POD. */
export function parsePodArgument(
  words: readonly string[],
  { what, usage }: { readonly what: string; readonly usage: string },
): { namespace: string; name: string } {
  const [namespace = "", name = "", ...rest] = (words[0] ?? "").split("/");
  if (words.length !== 1 || namespace === "" || name === "" || rest.length > 0) {
    throw usageError(`Cannot ${what} a pod: want one NAMESPACE/POD`, usage);
  }
  return { namespace, name };
}
