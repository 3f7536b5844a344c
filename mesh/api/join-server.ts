// Serves the join API over TLS without client certificates. Thin: what a method does is decided
// by the handlers it is given.
import { experimental } from "@grpc/grpc-js";
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

export interface ServerCertificate {
  /** PEM: the server certificate and the authority that a token pins, in this order. */
  readonly certificateChain: string;
  /** PEM. */
  readonly privateKey: string;
}

export interface JoinApiServerOptions extends ServerCertificate {
  /** `ADDRESS:PORT`, port 0 for any. */
  readonly listen: string;
  readonly methods: JoinMethods<CallContext>;
}

export interface JoinApiServer extends GrpcServer {
  /** For connections from now on. The caller has seen that the key is the certificate's. */
  useCertificate(certificate: ServerCertificate): void;
}

export async function createJoinApiServer(options: JoinApiServerOptions): Promise<JoinApiServer> {
  const { methods } = options;
  const certificate = new ReplaceableCertificate(options);
  const server = await createGrpcServer({
    definition: loadJoinDefinition(),
    handlers: {
      propose: (request: never, context) => methods.propose(request, context),
      commit: (request: never, context) => methods.commit(request, context),
      check: (request: never, context) => methods.check(request, context),
      confirm: (request: never, context) => methods.confirm(request, context),
      cancel: (request: never, context) => methods.cancel(request, context),
    },
    listen: options.listen,
    credentials: experimental.createCertificateProviderServerCredentials(certificate, null, false),
    channelOptions: {
      "grpc.max_receive_message_length": JOIN_MAX_MESSAGE_BYTES,
      "grpc.max_concurrent_streams": MAX_CONCURRENT_STREAMS,
    },
  });
  return { ...server, useCertificate: (renewed) => certificate.replace(renewed) };
}

type IdentityListener = Parameters<
  experimental.CertificateProvider["addIdentityCertificateListener"]
>[0];

/** Tells the library's server before it listens, so that there is no moment without a certificate. */
class ReplaceableCertificate implements experimental.CertificateProvider {
  readonly #listeners = new Set<IdentityListener>();
  #current: ServerCertificate;

  constructor(certificate: ServerCertificate) {
    this.#current = certificate;
  }

  replace(certificate: ServerCertificate): void {
    this.#current = certificate;
    for (const listener of this.#listeners) this.#tell(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#listeners.add(listener);
    // The library adds what the listener tells only after this has returned.
    queueMicrotask(() => this.#tell(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#listeners.delete(listener);
  }

  /** Clients show no certificates here. */
  addCaCertificateListener(): void {}
  removeCaCertificateListener(): void {}

  #tell(listener: IdentityListener): void {
    const { certificateChain, privateKey } = this.#current;
    listener({ certificate: Buffer.from(certificateChain), privateKey: Buffer.from(privateKey) });
  }
}

export function loadJoinDefinition(): ReturnType<typeof loadServiceDefinition> {
  const schema = fileURLToPath(new URL("./join.proto", import.meta.url));
  return loadServiceDefinition(schema, "tombolo.join.v1.Join");
}
