// One logical connection to an etcd: which endpoint is used, with which certificates, and how a
// call is made, limited in time and translated. What is asked is for others to know.
//
// Built on etcd3's client for one endpoint at a time. Its own pool picks a random host for every
// call and retries in ways that hide which etcd answered; here an endpoint is kept until it
// fails, so that one etcd at a time is seen and a change of etcd shows. Of several endpoints the
// first that takes a connection is opened (endpoint-race.ts).
import { Channel, Metadata, credentials, type ChannelCredentials } from "@grpc/grpc-js";
import { Etcd3, type Services } from "etcd3";
import { abortedError, throwIfAborted, withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { LogFields, Logger } from "../core/logger.ts";
import { dialTcp, firstToAnswer, type Dial } from "./endpoint-race.ts";
import { meshErrorFromGrpc, wantsToBeAskedAgain } from "./errors.ts";
import { readTlsFiles, type TlsFiles, type TlsMaterial } from "./tls.ts";

/** The largest message taken from an etcd. Pages are made to fit; etcd's own default limit for a
 * value is 1.5 MiB. */
export const RECEIVE_LIMIT_BYTES = 16 * 1024 * 1024;

export interface EtcdConnectionOptions {
  /**
   * `https://host:port`, `http://host:port` or `host:port`. A function is asked whenever a
   * connection is opened: what it leaves out is not tried again, what is connected stays.
   */
  readonly endpoints: readonly string[] | (() => readonly string[]);
  readonly tls: TlsFiles | undefined;
  /** The name that the server's certificate must carry, if it is not the endpoint's. */
  readonly serverName: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** A connection that answers no ping for this long, plus as much again, is dead. */
  readonly keepaliveMs?: number;
  readonly receiveLimitBytes?: number;
  /** How several endpoints are tried; TCP unless a test says otherwise. */
  readonly dial?: Dial;
}

export type EtcdService = keyof typeof Services;

export interface UnaryCall {
  readonly service: EtcdService;
  readonly method: string;
  readonly request: unknown;
  readonly timeoutMs: number;
  /** Completes "Cannot …" in errors. */
  readonly doing: string;
}

/** What a gRPC stream of either service offers; etcd3's own type lacks the error's details. */
export interface EtcdStream<Request, Response> {
  write(request: Request): void;
  end(): void;
  cancel(): void;
  on(event: "data", listener: (response: Response) => void): void;
  on(event: "error", listener: (error: unknown) => void): void;
  on(event: "end", listener: () => void): void;
}

export interface EtcdConnection {
  call<Response>(call: UnaryCall, signal: AbortSignal): Promise<Response>;
  openStream<Request, Response>(
    options: { service: EtcdService; method: string },
    signal: AbortSignal,
  ): Promise<EtcdStream<Request, Response>>;
  /** Re-reads the certificate files; true if they changed and the next call uses the new ones. */
  refreshTls(): Promise<boolean>;
  close(): void;
}

/** etcd refuses clients that ping more often than every 5 s. */
const KEEPALIVE_MS = 10_000;

export function createEtcdConnection(options: EtcdConnectionOptions): EtcdConnection {
  const listEndpoints = endpointLister(options);
  const closing = new AbortController();
  let closed = false;
  let current: Promise<EndpointClient> | undefined;
  let answering = true;
  /** Hosts that have failed since one answered, the longest ago first. */
  let failed: readonly string[] = [];
  /** Where the connection stays although it is opened anew. */
  let kept: string | undefined;

  function client(): Promise<EndpointClient> {
    if (closed)
      throw new MeshError("aborted", "Cannot use the connection to etcd: it has been closed");
    if (current !== undefined) return current;
    const opening = open(listEndpoints());
    current = opening;
    opening.catch((error: unknown) => {
      if (current === opening) current = undefined; // The caller has the error.
      if (isMeshError(error, "unavailable")) noteSilence({ error });
    });
    return opening;
  }

  async function open(hosts: readonly string[]): Promise<EndpointClient> {
    const { clock, dial = dialTcp } = options;
    const [only = ""] = hosts;
    const stay = hosts.find((host) => host === kept);
    kept = undefined;
    if (stay !== undefined || hosts.length === 1) return openClient(stay ?? only, options);
    const host = await firstToAnswer(hosts, { failed, dial, clock }, closing.signal);
    return openClient(host, options);
  }

  /** Said once for each outage, however many calls and watches meet it. */
  function noteSilence(fields: LogFields): void {
    if (answering) options.log.warn("etcd does not answer", fields);
    answering = false;
  }

  function noteAnswer(fields: LogFields): void {
    if (!answering) options.log.info("etcd answers again", fields);
    answering = true;
    failed = [];
  }

  /** The next call goes to another endpoint, over a new connection; calls in flight may end. */
  function retire(used: EndpointClient, error: unknown): void {
    if (closed) return;
    void current?.then(
      (now) => {
        if (now !== used) return;
        current = undefined;
        failed = [...failed.filter((host) => host !== used.host), used.host];
        noteSilence({ endpoint: used.host, error });
      },
      () => {}, // Its opener has the error.
    );
    used.close();
  }

  return {
    async call<Response>(call: UnaryCall, signal: AbortSignal) {
      throwIfAborted(signal);
      const used = await unlessAborted(client(), signal);
      try {
        const response = await withTimeout((inner) => askUntilJudged<Response>(used, call, inner), {
          ms: call.timeoutMs,
          what: `Cannot ${call.doing}`,
          clock: options.clock,
          signal,
        });
        noteAnswer({ endpoint: used.host });
        return response;
      } catch (error) {
        throwIfAborted(signal);
        if (isMeshError(error, "unavailable") || isMeshError(error, "deadline_exceeded"))
          retire(used, error);
        throw error;
      }
    },
    async openStream<Request, Response>(
      { service, method }: { service: EtcdService; method: string },
      signal: AbortSignal,
    ) {
      throwIfAborted(signal);
      const used = await unlessAborted(client(), signal);
      const stream = await used.stream<Request, Response>(service, method);
      stream.on("error", (error) => {
        const reason = meshErrorFromGrpc(error, `keep a ${service} stream open`);
        if (reason.code === "unavailable") retire(used, reason);
      });
      return stream;
    },
    async refreshTls() {
      if (options.tls === undefined || current === undefined) return false;
      const used = await current;
      const material = await readTlsFiles(options.tls);
      if (material.fingerprint === used.fingerprint) return false;
      options.log.info("Certificates of the etcd client have changed");
      current = undefined;
      kept = used.host;
      used.close();
      return true;
    },
    close() {
      closed = true;
      closing.abort("the connection was closed");
      // A client that could not be opened has nothing to close; its error went to its caller.
      void current?.then(
        (used) => used.close(),
        () => {},
      );
      current = undefined;
    },
  };
}

/** Leaves at once what others may go on waiting for. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(abortedError(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

interface EndpointClient {
  readonly host: string;
  readonly fingerprint: string | undefined;
  unary<Response>(call: UnaryCall, signal: AbortSignal): Promise<Response>;
  stream<Request, Response>(
    service: EtcdService,
    method: string,
  ): Promise<EtcdStream<Request, Response>>;
  close(): void;
}

/** Every change of a user or role makes etcd refuse what was under way: set-up makes a few dozen. */
const MAX_ASKS = 50;

async function askUntilJudged<Response>(
  client: EndpointClient,
  call: UnaryCall,
  signal: AbortSignal,
): Promise<Response> {
  for (let asks = 1; ; asks++) {
    try {
      return await client.unary<Response>(call, signal);
    } catch (error) {
      if (!wantsToBeAskedAgain(error) || asks === MAX_ASKS || signal.aborted) throw error;
    }
  }
}

/** What etcd3 keeps to itself: the way to a service's gRPC client, where calls can be cancelled. */
class SingleEndpointEtcd extends Etcd3 {
  withService<R>(
    service: EtcdService,
    use: (client: Record<string, unknown>, metadata: Metadata) => Promise<R>,
  ): Promise<R> {
    return this.pool.withConnection(service, ({ client, metadata }) =>
      use(client as unknown as Record<string, unknown>, metadata),
    );
  }
}

type UnaryMethod = (
  request: unknown,
  metadata: Metadata,
  options: object,
  done: (error: Error | null, response: unknown) => void,
) => { cancel(): void };

async function openClient(host: string, options: EtcdConnectionOptions): Promise<EndpointClient> {
  const material = options.tls === undefined ? undefined : await readTlsFiles(options.tls);
  const etcd = createSingleEndpointEtcd(host, material, options);
  return {
    host,
    fingerprint: material?.fingerprint,
    unary: <Response>(call: UnaryCall, signal: AbortSignal) =>
      etcd.withService(
        call.service,
        (client, metadata) =>
          new Promise<Response>((resolve, reject) => {
            const method = (client[call.method] as UnaryMethod).bind(client);
            const running = method(call.request, metadata, {}, (error, response) => {
              signal.removeEventListener("abort", onAbort);
              if (error === null) resolve(response as Response);
              else reject(meshErrorFromGrpc(error, call.doing));
            });
            const onAbort = (): void => running.cancel();
            if (signal.aborted) onAbort();
            else signal.addEventListener("abort", onAbort, { once: true });
          }),
      ),
    stream: <Request, Response>(service: EtcdService, method: string) =>
      etcd.withService(service, async (client) => {
        // A member that has lost its leader would otherwise keep the stream open and say nothing.
        const metadata = new Metadata();
        metadata.set("hasleader", "true");
        const open = client[method] as (metadata: Metadata) => EtcdStream<Request, Response>;
        return open.call(client, metadata);
      }),
    close: () => etcd.close(),
  };
}

function createSingleEndpointEtcd(
  host: string,
  material: TlsMaterial | undefined,
  options: EtcdConnectionOptions,
): SingleEndpointEtcd {
  const keepaliveMs = options.keepaliveMs ?? KEEPALIVE_MS;
  // One channel for all services. Its subchannels are its own: a new connection must not inherit
  // the back-off, or the half-open socket, of the one that it replaces.
  const channel = new Channel(host, channelCredentials(material), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": options.receiveLimitBytes ?? RECEIVE_LIMIT_BYTES,
    "grpc.max_send_message_length": RECEIVE_LIMIT_BYTES,
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": keepaliveMs,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_retries": 0,
    ...(options.serverName === undefined
      ? {}
      : { "grpc.ssl_target_name_override": options.serverName }),
  });
  return new SingleEndpointEtcd({
    // etcd3's retries and circuit breakers act on its own error classes only; calls made here
    // reject with MeshErrors, so none of them ever steps in.
    hosts: host,
    grpcOptions: { channelOverride: channel },
  });
}

function channelCredentials(material: TlsMaterial | undefined): ChannelCredentials {
  if (material === undefined) return credentials.createInsecure();
  return credentials.createSsl(material.ca, material.key, material.cert);
}

/** The hosts in an order of their own, which stays until the list changes. */
function endpointLister(options: EtcdConnectionOptions): () => readonly string[] {
  const { endpoints, random } = options;
  const list = typeof endpoints === "function" ? endpoints : () => endpoints;
  let known: readonly string[] = [];
  let hosts: readonly string[] = [];
  const look = (): readonly string[] => {
    const now = list();
    if (now.length === 0)
      throw new MeshError("invalid_argument", "Cannot connect to etcd: no endpoint is given");
    if (now.join() !== known.join()) {
      known = [...now];
      hosts = shuffled(now.map(hostFromEndpoint), random);
    }
    return hosts;
  };
  look();
  return look;
}

function hostFromEndpoint(endpoint: string): string {
  return endpoint.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [result[i], result[j]];
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a];
  }
  return result;
}
