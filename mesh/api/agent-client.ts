// Calls the agent's status API through its unix socket.
import type { Clock } from "../core/clock.ts";
import type { AgentHealth, AgentMethods, AgentService, AgentStatus } from "./agent-messages.ts";
import { loadAgentDefinition } from "./agent-server.ts";
import { createGrpcClient, localChannelCredentials } from "./grpc.ts";

/** Everything is answered from memory; this long means that the agent is stuck. */
const CALL_TIMEOUT_MS = 10_000;

export interface AgentClient extends AgentMethods<AbortSignal> {
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
    async ask(question, signal) {
      const ask = call<{ question: string }, { answer: string }>("Ask");
      return (await ask({ question }, signal)).answer;
    },
    close: () => client.close(),
  };
}
