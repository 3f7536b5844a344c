// Serves the join API over TLS without client certificates. Thin: what a method does is decided
// by the handlers it is given.
import { ServerCredentials } from "@grpc/grpc-js";
import { fileURLToPath } from "node:url";
import {
  createGrpcServer,
  loadServiceDefinition,
  type CallContext,
  type GrpcServer,
} from "./grpc.ts";
import type { JoinMethods } from "./join-messages.ts";

/**
 * 10,000 nodes with two prefixes each and long names are below 3 MiB; the API is open to
 * everybody, so nothing larger is even decoded.
 */
export const JOIN_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Everybody may connect; a connection serves one join, which calls one method at a time. */
const MAX_CONCURRENT_STREAMS = 4;

export interface JoinApiServerOptions {
  /** `ADDRESS:PORT`, port 0 for any. */
  readonly listen: string;
  /** PEM: the server certificate and the authority that a token pins, in this order. */
  readonly certificateChain: string;
  /** PEM. */
  readonly privateKey: string;
  readonly methods: JoinMethods<CallContext>;
}

export async function createJoinApiServer(options: JoinApiServerOptions): Promise<GrpcServer> {
  const { methods } = options;
  const keyPair = {
    cert_chain: Buffer.from(options.certificateChain),
    private_key: Buffer.from(options.privateKey),
  };
  return createGrpcServer({
    definition: loadJoinDefinition(),
    handlers: {
      propose: (request: never, context) => methods.propose(request, context),
      commit: (request: never, context) => methods.commit(request, context),
      check: (request: never, context) => methods.check(request, context),
      confirm: (request: never, context) => methods.confirm(request, context),
      cancel: (request: never, context) => methods.cancel(request, context),
    },
    listen: options.listen,
    credentials: ServerCredentials.createSsl(null, [keyPair], false),
    channelOptions: {
      "grpc.max_receive_message_length": JOIN_MAX_MESSAGE_BYTES,
      "grpc.max_concurrent_streams": MAX_CONCURRENT_STREAMS,
    },
  });
}

export function loadJoinDefinition(): ReturnType<typeof loadServiceDefinition> {
  const schema = fileURLToPath(new URL("./join.proto", import.meta.url));
  return loadServiceDefinition(schema, "tombolo.join.v1.Join");
}
