// What the commands that ask a node's agent share: which node, and the conversation with its
// agent through its unix socket.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createAgentClient, type AgentClient } from "../api/agent-client.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { CommandContext } from "./command.ts";

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
  const socket = target.socket ?? (await findSocket(context.home, target.node));
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

async function findSocket(home: string, node: string | undefined): Promise<string> {
  const directory = join(home, "nodes");
  const names = await listNodes(directory);
  const name = node ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined || !names.includes(name)) {
    const known = names.length === 0 ? "none is known here" : `there are: ${names.join(", ")}`;
    const what = node === undefined ? "a node" : `node "${node}"`;
    throw new MeshError(
      node === undefined ? "invalid_argument" : "not_found",
      `Cannot find ${what}: ${known}`,
      { hint: "name one with --node, or give --socket" },
    );
  }
  const path = join(directory, `${name}.json`);
  const { socket } = JSON.parse(await readFile(path, "utf8")) as { socket?: unknown };
  if (typeof socket === "string") return socket;
  throw new MeshError("data_loss", `Cannot read "${path}": it names no socket`);
}

async function listNodes(directory: string): Promise<string[]> {
  try {
    const files = await readdir(directory);
    return files
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
