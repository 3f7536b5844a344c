// Calls the agent's status API through its unix socket.
import type { Clock } from "../core/clock.ts";
import type { AgentHealth, AgentMethods, AgentService, AgentStatus } from "./agent-messages.ts";
import { loadAgentDefinition } from "./agent-server.ts";
import { createGrpcClient, localChannelCredentials } from "./grpc.ts";
import type {
  AgentEndpoint,
  AgentIdentity,
  AgentPolicy,
  AgentTrace,
  FromNode,
  Observed,
  PolicyMethods,
  TraceRequest,
} from "./policy-messages.ts";

/** Everything is answered from memory; this long means that the agent is stuck. */
const CALL_TIMEOUT_MS = 10_000;

export interface AgentClient extends AgentMethods<AbortSignal>, PolicyMethods<AbortSignal> {
  /** What a drill asks, as JSON; the answer as JSON. */
  ask(question: string, signal: AbortSignal): Promise<string>;
  close(): void;
}

export function createAgentClient(options: {
  readonly socket: string;
  readonly clock: Clock;
}): AgentClient {
  const client = createGrpcClient({
    definition: loadAgentDefinition(),
    target: `unix:${options.socket}`,
    credentials: localChannelCredentials(),
    clock: options.clock,
  });
  const call =
    <Request extends object, Response>(method: string) =>
    (request: Request, signal: AbortSignal): Promise<Response> =>
      client.call<Response>(method, request, { timeoutMs: CALL_TIMEOUT_MS, signal });
  return {
    getStatus: call<object, AgentStatus>("GetStatus"),
    listServices: call<{ namespace: string }, { services: readonly AgentService[] }>(
      "ListServices",
    ),
    getHealth: call<object, AgentHealth>("GetHealth"),
    getService: call<{ namespace: string; name: string }, { service: AgentService }>("GetService"),
    listEndpoints: call<{ namespace: string }, FromNode & { endpoints: readonly AgentEndpoint[] }>(
      "ListEndpoints",
    ),
    getEndpoint: call<{ namespace: string; name: string }, { endpoint: AgentEndpoint }>(
      "GetEndpoint",
    ),
    listPolicies: call<
      { namespace: string },
      FromNode & { synced: boolean; policies: readonly AgentPolicy[] }
    >("ListPolicies"),
    tracePolicy: call<TraceRequest, AgentTrace>("TracePolicy"),
    listIdentities: call<
      { number: number; cluster: string },
      { identities: readonly AgentIdentity[] }
    >("ListIdentities"),
    observe: (request, signal) => client.stream<Observed>("Observe", request, signal),
    async ask(question, signal) {
      const ask = call<{ question: string }, { answer: string }>("Ask");
      return (await ask({ question }, signal)).answer;
    },
    close: () => client.close(),
  };
}
