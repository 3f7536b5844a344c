// Serves the agent's status API on a unix socket whose file mode is the access control. Thin:
// what a method answers is decided by the handlers it is given.
import { chmod, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MeshError } from "../core/errors.ts";
import type { AgentMethods } from "./agent-messages.ts";
import {
  createGrpcServer,
  loadServiceDefinition,
  localServerCredentials,
  type CallContext,
  type GrpcServer,
} from "./grpc.ts";

/** Root only: the API tells what runs in the cluster. */
const SOCKET_MODE = 0o600;

export async function createAgentServer(options: {
  readonly socket: string;
  readonly methods: AgentMethods<CallContext>;
  /** A question as JSON, and its answer as JSON; `unsupported` without it. */
  readonly ask?: (question: string, signal: AbortSignal) => Promise<string>;
}): Promise<GrpcServer> {
  const { socket, methods, ask = refuseToAnswer } = options;
  // What a killed agent left.
  await rm(socket, { force: true });
  const server = await createGrpcServer({
    definition: loadAgentDefinition(),
    handlers: {
      getStatus: (request: never, context) => methods.getStatus(request, context),
      listServices: (request: never, context) => methods.listServices(request, context),
      getService: (request: never, context) => methods.getService(request, context),
      getHealth: (request: never, context) => methods.getHealth(request, context),
      ask: async ({ question }: { question: string }, { signal }) => ({
        answer: await ask(question, signal),
      }),
    },
    listen: `unix:${socket}`,
    credentials: localServerCredentials(),
  });
  await chmod(socket, SOCKET_MODE);
  return server;
}

function refuseToAnswer(): Promise<string> {
  return Promise.reject(
    new MeshError("unsupported", "Cannot answer questions: this agent takes no part in drills"),
  );
}

export function loadAgentDefinition(): ReturnType<typeof loadServiceDefinition> {
  const schema = fileURLToPath(new URL("./agent.proto", import.meta.url));
  return loadServiceDefinition(schema, "tombolo.agent.v1.Agent");
}
