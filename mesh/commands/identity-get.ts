// `mesh identity get`: one security identity, its labels, and the rules that name it.
import { MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { formatIdentity } from "./show-identity.ts";

const USAGE = `Usage: mesh identity get NUMBER [--node NAME | --socket PATH] [--output table|json]

Shows one security identity: its cluster, its labels, how many addresses stand for it, and the rules
of this node's policies that name it among their peers.

${AGENT_USAGE}
Examples:
  mesh identity get 1 --node east-node1
  mesh identity get 1 --node east-node1 --output json
`;

export const identityGetCommand: Command = {
  name: "identity get",
  summary: "one security identity with its labels, and the rules that name it",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: AGENT_FLAGS, usage: USAGE });
    const [text = ""] = positionals;
    const number = Number(text);
    if (positionals.length !== 1 || !/^\d{1,8}$/.test(text) || number === 0) {
      throw usageError("Cannot show an identity: want one NUMBER", USAGE);
    }
    const format = parseOutputFormat(values.output);
    const { identities } = await askAgent(values, {
      context,
      ask: (client, signal) => client.listIdentities({ number, cluster: "" }, signal),
    });
    const [identity] = identities;
    if (identity === undefined) {
      throw new MeshError("not_found", `Cannot find identity ${number} on this node`, {
        hint: "`mesh identity list` shows all",
      });
    }
    context.stdout.write(format === "json" ? formatJson(identity) : formatIdentity(identity));
    return 0;
  },
};
