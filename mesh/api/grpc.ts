// gRPC plumbing that every API of the project shares: a service definition from its .proto file,
// unary handlers and calls as promises, streams of answers as async iterables, one translation of
// errors each way, a server that ends with a signal. It knows no service; what a caller streams is
// not here because no API has it yet.
import { once } from "node:events";
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ChannelCredentials,
  type ChannelOptions,
  type ServiceDefinition,
  type ServerWritableStream,
  type ServiceError,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { loadSync, type Options } from "@grpc/proto-loader";
import { throwIfAborted, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError, messageFromError, type ErrorCode } from "../core/errors.ts";

/** Messages as plain objects with every field set, 64-bit numbers as decimal text. */
const MESSAGE_FORM: Options = {
  keepCase: false,
  longs: String,
  enums: String,
  defaults: true,
  arrays: true,
  objects: true,
  oneofs: true,
};

/** A peer's answer or request beyond this is refused by the library before it is parsed. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  // Each client is its own connection: two clients with other certificates must never share one.
  "grpc.use_local_subchannel_pool": 1,
};

/** The key under which an error's hint travels; `-bin` because metadata text is ASCII only. */
const HINT_METADATA = "tombolo-hint-bin";

/** Reads `protoPath` and returns the definition of its service `fullName` ("package.Service"). */
export function loadServiceDefinition(protoPath: string, fullName: string): ServiceDefinition {
  const found = loadSync(protoPath, MESSAGE_FORM)[fullName];
  if (found === undefined || "format" in found) {
    throw new MeshError("internal", `Cannot find gRPC service "${fullName}" in "${protoPath}"`);
  }
  return found as ServiceDefinition;
}

/** What a handler may know besides the request. */
export interface CallContext {
  /** Aborted when the caller hangs up or its deadline has passed. */
  readonly signal: AbortSignal;
  /** `address:port` of the caller, or the socket's name. */
  readonly peer: string;
  /** CN of the caller's verified client certificate, if there is one. */
  readonly peerCommonName: string | undefined;
}

export type UnaryHandler<Request, Response> = (
  request: Request,
  context: CallContext,
) => Promise<Response>;

/** Handlers by method name (lower camel case); a thrown MeshError reaches the caller as one. */
export type UnaryHandlers = Readonly<Record<string, UnaryHandler<never, unknown>>>;

/** Ends, or goes on until the context's signal aborts; nothing is asked of it while the caller is slow. */
export type StreamHandler<Request, Response> = (
  request: Request,
  context: CallContext,
) => AsyncIterable<Response>;

export type StreamHandlers = Readonly<Record<string, StreamHandler<never, unknown>>>;

export interface GrpcServerOptions {
  readonly definition: ServiceDefinition;
  readonly handlers: UnaryHandlers;
  /** Of the methods that answer with a stream. */
  readonly streams?: StreamHandlers;
  /** `ADDRESS:PORT`, port 0 for any, or `unix:PATH`. */
  readonly listen: string;
  readonly credentials: ServerCredentials;
  /** Added to the project's own channel options, e.g. a smaller limit of messages. */
  readonly channelOptions?: ChannelOptions;
}

export interface GrpcServer {
  /** The bound port; 0 for unix sockets. */
  readonly port: number;
  /** Refuses new calls and ends running ones. */
  close(): void;
}

/** Resolves when the server accepts calls; rejects with `unavailable` if it cannot listen. */
export async function createGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const server = new Server({ ...CHANNEL_OPTIONS, ...options.channelOptions });
  const implementation: UntypedServiceImplementation = {};
  for (const [name, handler] of Object.entries(options.handlers)) {
    implementation[name] = unaryImplementation(handler as UnaryHandler<unknown, unknown>);
  }
  for (const [name, handler] of Object.entries(options.streams ?? {})) {
    implementation[name] = streamImplementation(handler as StreamHandler<unknown, unknown>);
  }
  server.addService(options.definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.listen, options.credentials, (cause, bound) => {
      if (cause === null) resolve(bound);
      else reject(new MeshError("unavailable", `Cannot listen on "${options.listen}"`, { cause }));
    });
  });
  return { port, close: () => server.forceShutdown() };
}

/** For unix sockets, whose file mode is the access control. */
export function localServerCredentials(): ServerCredentials {
  return ServerCredentials.createInsecure();
}

/** For unix sockets and nothing else. */
export function localChannelCredentials(): ChannelCredentials {
  return credentials.createInsecure();
}

export interface GrpcClientOptions {
  readonly definition: ServiceDefinition;
  /** `ADDRESS:PORT` or `unix:PATH`. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  /** Added to the project's own channel options, e.g. `grpc.ssl_target_name_override`. */
  readonly channelOptions?: ChannelOptions;
  readonly clock: Clock;
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface GrpcClient {
  /** Calls a unary method by its schema name ("GetStatus"); rejects with a MeshError. */
  call<Response>(method: string, request: object, options: CallOptions): Promise<Response>;
  /** Calls a method that answers with a stream; ends or throws a MeshError, also for the signal. */
  stream<Response>(method: string, request: object, signal: AbortSignal): AsyncIterable<Response>;
  close(): void;
}

export function createGrpcClient(options: GrpcClientOptions): GrpcClient {
  const { definition, target, clock } = options;
  const client = new Client(target, options.credentials, {
    ...CHANNEL_OPTIONS,
    ...options.channelOptions,
  });
  return {
    call: <Response>(method: string, request: object, { timeoutMs, signal }: CallOptions) =>
      new Promise<Response>((resolve, reject) => {
        const shape = definition[method];
        if (shape === undefined) throw new MeshError("internal", `Cannot find method "${method}"`);
        const call = client.makeUnaryRequest(
          shape.path,
          shape.requestSerialize,
          shape.responseDeserialize,
          request,
          new Metadata(),
          { deadline: clock.nowMs() + timeoutMs },
          (error, response) => {
            signal.removeEventListener("abort", onAbort);
            if (error === null) resolve(response as Response);
            else reject(meshErrorFromGrpc(error, { method, target, signal }));
          },
        );
        const onAbort = (): void => call.cancel();
        signal.addEventListener("abort", onAbort, { once: true });
        if (signal.aborted) onAbort();
      }),
    async *stream<Response>(method: string, request: object, signal: AbortSignal) {
      const shape = definition[method];
      if (shape === undefined) throw new MeshError("internal", `Cannot find method "${method}"`);
      throwIfAborted(signal);
      const call = client.makeServerStreamRequest(
        shape.path,
        shape.requestSerialize,
        shape.responseDeserialize,
        request,
      );
      const onAbort = (): void => call.cancel();
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        for await (const response of call) yield response as Response;
      } catch (error) {
        throw meshErrorFromGrpc(error as ServiceError, { method, target, signal });
      } finally {
        signal.removeEventListener("abort", onAbort);
        call.cancel();
      }
    },
    close: () => client.close(),
  };
}

const GRPC_STATUS: Readonly<Record<ErrorCode, status>> = {
  invalid_argument: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  conflict: status.FAILED_PRECONDITION,
  permission_denied: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  unavailable: status.UNAVAILABLE,
  deadline_exceeded: status.DEADLINE_EXCEEDED,
  compacted: status.OUT_OF_RANGE,
  cluster_changed: status.ABORTED,
  resource_exhausted: status.RESOURCE_EXHAUSTED,
  unsupported: status.UNIMPLEMENTED,
  aborted: status.CANCELLED,
  data_loss: status.DATA_LOSS,
  internal: status.INTERNAL,
};

function unaryImplementation(handler: UnaryHandler<unknown, unknown>) {
  return (
    call: ServerUnaryCall<unknown, unknown>,
    callback: (error: Partial<ServiceError> | null, response?: unknown) => void,
  ): void => {
    handler(call.request, contextOf(call)).then(
      (response) => callback(null, response),
      (error: unknown) => callback(grpcErrorFrom(error)),
    );
  };
}

function streamImplementation(handler: StreamHandler<unknown, unknown>) {
  return (call: ServerWritableStream<unknown, unknown>): void => {
    const context = contextOf(call);
    const work = async (): Promise<void> => {
      for await (const response of handler(call.request, context)) {
        if (call.write(response) || context.signal.aborted) continue;
        // The caller reads slower than we write.
        await once(call, "drain", { signal: context.signal });
      }
    };
    work().then(
      () => call.end(),
      // A caller that has hung up hears nothing any more.
      (error: unknown) =>
        void (context.signal.aborted ? call.end() : call.emit("error", streamError(error))),
    );
  };
}

/** The library ends a stream with the status in an "error" event; `destroy` would lose it. */
function streamError(error: unknown): Error {
  const { details = "", ...rest } = grpcErrorFrom(error);
  return Object.assign(new Error(details), { details, ...rest });
}

type ServerCall = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

function contextOf(call: ServerCall): CallContext {
  const hangUp = new AbortController();
  call.on("cancelled", () => hangUp.abort());
  return { signal: hangUp.signal, peer: call.getPeer(), peerCommonName: commonNameOf(call) };
}

function commonNameOf(call: ServerCall): string | undefined {
  const subject = call.getAuthContext().sslPeerCertificate?.subject.CN;
  return Array.isArray(subject) ? subject[0] : subject;
}

function grpcErrorFrom(error: unknown): Partial<ServiceError> {
  const metadata = new Metadata();
  if (!isMeshError(error)) {
    // What is not ours may hold anything: the caller learns that it failed, not what was in it.
    return { code: status.INTERNAL, details: "Cannot answer: internal error", metadata };
  }
  if (error.hint !== undefined) metadata.set(HINT_METADATA, Buffer.from(error.hint));
  return { code: GRPC_STATUS[error.code], details: messageFromError(error), metadata };
}

/** The one translation of gRPC's errors into the project's. */
export function meshErrorFromGrpc(
  error: ServiceError,
  call: { method: string; target: string; signal: AbortSignal },
): MeshError {
  if (call.signal.aborted) {
    return new MeshError("aborted", "The operation was aborted", { cause: call.signal.reason });
  }
  const code = (Object.keys(GRPC_STATUS) as ErrorCode[]).find(
    (candidate) => GRPC_STATUS[candidate] === error.code,
  );
  const hint = error.metadata?.get(HINT_METADATA)[0];
  const withHint = hint === undefined ? {} : { hint: hint.toString() };
  if (code === "unavailable") {
    const message = `Cannot reach "${call.target}": ${error.details}`;
    return new MeshError("unavailable", message, withHint);
  }
  if (code === "deadline_exceeded") {
    return new MeshError(code, `Cannot call ${call.method} of "${call.target}": no answer in time`);
  }
  return new MeshError(code ?? "internal", error.details, withHint);
}
