// `mesh policy get`: one policy with its rules, as a node understands them.
import { MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { formatPolicy, isCalled, policyName } from "./show-policy.ts";

const USAGE = `Usage: mesh policy get [KIND/][NAMESPACE/]NAME [--node NAME | --socket PATH] [--output table|json]

Shows one policy as the node understands it: whom each rule is about, whom it allows or denies, how
many identities that is now, which pods of this node enforce it, and what cannot be honoured. The
kind may be left out where only one policy has the name.

${AGENT_USAGE}
Examples:
  mesh policy get shop/cart --node east-node1
  mesh policy get CiliumClusterwideNetworkPolicy/base --node east-node1 --output json
`;

export const policyGetCommand: Command = {
  name: "policy get",
  summary: "one policy with its rules, as a node understands them",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: AGENT_FLAGS, usage: USAGE });
    const [name = ""] = positionals;
    if (positionals.length !== 1 || name === "") {
      throw usageError("Cannot show a policy: want one NAMESPACE/NAME", USAGE);
    }
    const format = parseOutputFormat(values.output);
    const { policies } = await askAgent(values, {
      context,
      ask: (client, signal) => client.listPolicies({ namespace: "" }, signal),
    });
    const [policy, ...others] = policies.filter((one) => isCalled(one, name));
    if (policy === undefined) {
      throw new MeshError("not_found", `Cannot find policy "${name}" in this node's cluster`, {
        hint: "`mesh policy list` shows all; each cluster has its own",
      });
    }
    if (others.length > 0) {
      const names = [policy, ...others].map(policyName).join(", ");
      throw new MeshError("invalid_argument", `Cannot choose a policy "${name}": want its kind`, {
        hint: `there are: ${names}`,
      });
    }
    const { stdout } = context;
    stdout.write(format === "json" ? formatJson(policy) : formatPolicy(policy, stdout));
    return 0;
  },
};
