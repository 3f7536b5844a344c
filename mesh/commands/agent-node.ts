// What the commands that ask a node's agent share: which node, and the conversation with its
// agent through its unix socket.
import { createAgentClient, type AgentClient } from "../api/agent-client.ts";
import { findLocalNode } from "../contexts/local-nodes.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat, type Output } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";

export const AGENT_FLAGS = {
  node: { type: "string" },
  socket: { type: "string" },
  output: { type: "string" },
} as const;

export const AGENT_USAGE = `  --node NAME      a node of this machine's lab; may be left out if there is only one
  --socket PATH    the agent's unix socket, instead of --node
  --output FORMAT  table (default) or json
`;

/** Asks the agent; throws `unavailable` with what to do when it does not run. */
export async function askAgent<T>(
  target: { readonly node?: string | undefined; readonly socket?: string | undefined },
  options: {
    readonly context: CommandContext;
    readonly ask: (client: AgentClient, signal: AbortSignal) => Promise<T>;
  },
): Promise<T> {
  const { context, ask } = options;
  if (target.node !== undefined && target.socket !== undefined) {
    throw new MeshError("invalid_argument", "Cannot use --node and --socket together");
  }
  const { home } = context;
  const socket =
    target.socket ??
    (await findLocalNode("socket", { home, node: target.node, instead: "--socket PATH" }));
  const client = createAgentClient({ socket, clock: context.clock });
  try {
    return await ask(client, context.signal);
  } catch (error) {
    // Nobody listens, or somebody does and says nothing: a process that is stopped or stuck.
    const silent = isMeshError(error, "unavailable") || isMeshError(error, "deadline_exceeded");
    if (!silent) throw error;
    throw new MeshError("unavailable", `Cannot ask the agent at "${socket}": it does not answer`, {
      cause: error,
      hint: "forwarding does not depend on it; `mesh bpf services` looks at the maps themselves",
    });
  } finally {
    client.close();
  }
}

/** A command that shows what an agent says, whole; its exit status tells whether that is good news. */
export function createAgentCommand<Said>(options: {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly ask: (client: AgentClient, signal: AbortSignal) => Promise<Said>;
  readonly format: (said: Said, output: Output) => string;
  readonly isWell: (said: Said) => boolean;
}): Command {
  const { name, summary, usage, ask, format, isWell } = options;
  return {
    name,
    summary,
    usage,
    async run(args, context) {
      const { values, positionals } = parseArguments(args, { flags: AGENT_FLAGS, usage });
      if (positionals.length > 0) {
        throw usageError(`Cannot use "${positionals[0]}": name the node with --node`, usage);
      }
      const isJson = parseOutputFormat(values.output) === "json";
      const said = await askAgent(values, { context, ask });
      context.stdout.write(isJson ? formatJson(said) : format(said, context.stdout));
      return isWell(said) ? 0 : 1;
    },
  };
}
