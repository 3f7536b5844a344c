// Calls the join API of another cluster, whose authority is already known (pinned by a token).
import { credentials } from "@grpc/grpc-js";
import type { Clock } from "../core/clock.ts";
import { createGrpcClient } from "./grpc.ts";
import type {
  CheckResponse,
  CommitRequest,
  CommitResponse,
  CredentialRequest,
  EmptyMessage,
  JoinMethods,
  ProposeRequest,
  ProposeResponse,
} from "./join-messages.ts";
import { loadJoinDefinition } from "./join-server.ts";

/** The inviter makes a key, signs, probes endpoints: seconds on a busy machine. */
const CALL_TIMEOUT_MS = 20_000;

export interface JoinClient extends JoinMethods<AbortSignal> {
  close(): void;
}

export function createJoinClient(options: {
  /** `ADDRESS:PORT`. */
  readonly endpoint: string;
  /** PEM; nobody else is believed. */
  readonly trustBundle: string;
  readonly serverName: string;
  readonly clock: Clock;
}): JoinClient {
  const client = createGrpcClient({
    definition: loadJoinDefinition(),
    target: options.endpoint,
    credentials: credentials.createSsl(Buffer.from(options.trustBundle)),
    channelOptions: { "grpc.ssl_target_name_override": options.serverName },
    clock: options.clock,
  });
  const call =
    <Request extends object, Response>(method: string) =>
    (request: Request, signal: AbortSignal): Promise<Response> =>
      client.call<Response>(method, request, { timeoutMs: CALL_TIMEOUT_MS, signal });
  return {
    propose: call<ProposeRequest, ProposeResponse>("Propose"),
    commit: call<CommitRequest, CommitResponse>("Commit"),
    check: call<CredentialRequest, CheckResponse>("Check"),
    confirm: call<CredentialRequest, EmptyMessage>("Confirm"),
    cancel: call<CredentialRequest, EmptyMessage>("Cancel"),
    close: () => client.close(),
  };
}
