// Serves the agent's status API on a unix socket whose file mode is the access control. Thin:
// what a method answers is decided by the handlers it is given.
import { chmod, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MeshError } from "../core/errors.ts";
import type { AgentMethods } from "./agent-messages.ts";
import type { PolicyMethods } from "./policy-messages.ts";
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
  /** What is asked about policies, identities and flows; `unsupported` without them. */
  readonly policy?: PolicyMethods<CallContext>;
  /** A question as JSON, and its answer as JSON; `unsupported` without it. */
  readonly ask?: (question: string, signal: AbortSignal) => Promise<string>;
}): Promise<GrpcServer> {
  const { socket, methods, policy = NO_POLICY, ask = refuseToAnswer } = options;
  // What a killed agent left.
  await rm(socket, { force: true });
  const server = await createGrpcServer({
    definition: loadAgentDefinition(),
    handlers: {
      getStatus: (request: never, context) => methods.getStatus(request, context),
      listServices: (request: never, context) => methods.listServices(request, context),
      getService: (request: never, context) => methods.getService(request, context),
      getHealth: (request: never, context) => methods.getHealth(request, context),
      listEndpoints: (request: never, context) => policy.listEndpoints(request, context),
      getEndpoint: (request: never, context) => policy.getEndpoint(request, context),
      listPolicies: (request: never, context) => policy.listPolicies(request, context),
      tracePolicy: (request: never, context) => policy.tracePolicy(request, context),
      listIdentities: (request: never, context) => policy.listIdentities(request, context),
      ask: async ({ question }: { question: string }, { signal }) => ({
        answer: await ask(question, signal),
      }),
    },
    streams: {
      observe: (request: never, context) => policy.observe(request, context),
    },
    listen: `unix:${socket}`,
    credentials: localServerCredentials(),
  });
  await chmod(socket, SOCKET_MODE);
  return server;
}

const refusePolicy = (): Promise<never> => Promise.reject(policyUnsupported());

const NO_POLICY: PolicyMethods<unknown> = {
  listEndpoints: refusePolicy,
  getEndpoint: refusePolicy,
  listPolicies: refusePolicy,
  tracePolicy: refusePolicy,
  listIdentities: refusePolicy,
  observe: () => {
    throw policyUnsupported();
  },
};

function policyUnsupported(): MeshError {
  return new MeshError("unsupported", "Cannot answer about policy: this agent enforces none");
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
