// Requests to one Kubernetes API server: credentials that are read again, connections that are
// used again, bodies as streams. It knows HTTP, no Kubernetes objects; kubeconfig.ts knows where
// credentials come from.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { abortedError, type Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { createKubeConfig, readKubeconfigText, type KubernetesAccess } from "./kubeconfig.ts";

export type { KubernetesAccess } from "./kubeconfig.ts";

export interface ApiResponse {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface ApiRequest {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With the query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
  /** How the server is to understand the body; `application/json` if left out. */
  readonly contentType?: string;
}

export interface KubernetesTransport {
  /** Rejects with `unavailable` when no answer comes; the signal also ends the body. */
  send(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse>;
  /** Where requests go, for people; empty before the first. */
  readonly server: string;
}

/** Tokens and certificates are replaced long before they end; files are read again this often. */
const CREDENTIALS_MS = 10_000;
/** A peer that is gone without a word is noticed by the kernel some ten seconds after this. */
const KEEP_ALIVE_MS = 15_000;
/** Sooner than API servers and load balancers close what is idle, so that it is we who do. */
const IDLE_MS = 15_000;
/** Idle connections that are kept: lists of all kinds at once. */
const MAX_IDLE_CONNECTIONS = 8;
/** Every watch holds one; whoever asks for more at a time has lost count. */
const MAX_CONNECTIONS = 100;
const UNAUTHORIZED = 401;

interface Credentials {
  readonly kube: KubeConfig;
  readonly text: string;
  readonly readAtMs: number;
}

/** A request with everything that the server is shown of us. */
interface Prepared {
  readonly options: RequestOptions;
  readonly from: Credentials;
  /** Differs when what the server is shown differs. */
  readonly proof: string;
}

export function createKubernetesTransport(
  access: KubernetesAccess,
  { clock }: { clock: Clock },
): KubernetesTransport {
  const connections = createConnections();
  let known: Credentials | undefined;
  let reading: Promise<Credentials> | undefined;
  /** One at a time: whoever comes second finds what the plugin told the first. */
  let applying: Promise<unknown> = Promise.resolve();
  let server = "";

  /** The same object for as long as the file says the same: it remembers what plugins told it. */
  async function read(): Promise<Credentials> {
    const text = await readKubeconfigText(access);
    const kube = known?.text === text ? known.kube : await createKubeConfig(access, text);
    known = { kube, text, readAtMs: clock.monotonicMs() };
    return known;
  }

  async function credentials(): Promise<Credentials> {
    if (known !== undefined && clock.monotonicMs() - known.readAtMs < CREDENTIALS_MS) return known;
    reading ??= read().finally(() => (reading = undefined));
    return reading;
  }

  async function prepare(request: ApiRequest, signal: AbortSignal): Promise<Prepared> {
    const from = await credentials();
    server = from.kube.getCurrentCluster()?.server ?? "";
    const options = plainOptions(request, { server, signal });
    const applied = applying.then(() => applyCredentials(from.kube, options));
    applying = applied.catch(() => {}); // The next one is told by itself.
    await unlessAborted(applied, signal);
    if (from.kube.getCurrentCluster()?.proxyUrl === undefined) {
      options.agent = server.startsWith("https:") ? connections.https : connections.http;
    }
    const { headers, cert } = options;
    return { options, from, proof: JSON.stringify([headers, cert]) };
  }

  return {
    get server() {
      return server;
    },
    async send(request, signal) {
      const shown = await prepare(request, signal);
      const response = await exchange(shown.options, { server, body: request.body });
      if (response.statusCode !== UNAUTHORIZED) return answer(response);
      // Whoever issued the token has changed their mind: everything is read anew, plugins run
      // again. If that gives something else, the server is asked once more.
      if (known === shown.from) known = undefined;
      const renewed = await prepare(request, signal).catch(() => undefined); // The 401 says more.
      if (renewed === undefined || renewed.proof === shown.proof) return answer(response);
      response.resume();
      return answer(await exchange(renewed.options, { server, body: request.body }));
    },
  };
}

/**
 * Connections are used again only for what is sent with the same certificates, which are part of
 * a pool's name. Idle ones hold no process.
 */
function createConnections(): { readonly http: HttpAgent; readonly https: HttpsAgent } {
  const limits = {
    keepAlive: true,
    timeout: IDLE_MS,
    maxSockets: MAX_CONNECTIONS,
    maxFreeSockets: MAX_IDLE_CONNECTIONS,
  };
  return { http: new HttpAgent(limits), https: new HttpsAgent(limits) };
}

function plainOptions(
  request: ApiRequest,
  { server, signal }: { server: string; signal: AbortSignal },
): RequestOptions {
  if (!/^https?:\/\//.test(server) || !URL.canParse(server)) {
    const what = server === "" ? "the cluster names none" : `"${server}" is no URL of HTTPS`;
    throw new MeshError("invalid_argument", `Cannot find the API server: ${what}`);
  }
  const base = new URL(server);
  return {
    method: request.method ?? "GET",
    host: base.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: base.port,
    path: base.pathname.replace(/\/$/, "") + request.path,
    headers: {
      accept: "application/json",
      ...(request.body === undefined
        ? {}
        : { "content-type": request.contentType ?? "application/json" }),
    },
    signal,
  };
}

async function applyCredentials(kube: KubeConfig, options: RequestOptions): Promise<void> {
  try {
    // The library's own copy of the same declarations makes its type another one.
    await kube.applyToHTTPSOptions(options as Parameters<KubeConfig["applyToHTTPSOptions"]>[0]);
  } catch (cause) {
    const user = kube.getCurrentUser()?.name ?? "";
    throw new MeshError("unauthenticated", `Cannot read the credentials of user "${user}"`, {
      cause,
    });
  }
  // What it adds to is the record that we gave it. Files of tokens end with a newline.
  const headers = options.headers as Record<string, string>;
  for (const [name, value] of Object.entries(headers)) headers[name] = value.trim();
}

interface Exchange {
  readonly server: string;
  readonly body: object | undefined;
}

/** Once more if the server has closed the connection in the moment that it was used again. */
async function exchange(options: RequestOptions, call: Exchange): Promise<IncomingMessage> {
  try {
    return await exchangeOnce(options, call);
  } catch (error) {
    const stale = error instanceof StaleConnection && options.signal?.aborted !== true;
    if (stale && options.method === "GET") return exchangeOnce(options, call);
    throw error;
  }
}

class StaleConnection extends MeshError {}

function exchangeOnce(
  options: RequestOptions,
  { server, body }: Exchange,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    try {
      const request = server.startsWith("https:") ? httpsRequest(options) : httpRequest(options);
      request.once("socket", (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
      request.once("response", resolve);
      request.on("error", (cause) => {
        const kind = request.reusedSocket ? StaleConnection : MeshError;
        reject(new kind("unavailable", ...unreachable(server, cause)));
      });
      if (body === undefined) {
        request.end();
        return;
      }
      const bytes = Buffer.from(JSON.stringify(body));
      // Without it, Node sends the body of a DELETE as if it were the next request.
      request.setHeader("content-length", bytes.length);
      request.end(bytes);
    } catch (cause) {
      // Certificates that cannot be parsed.
      reject(new MeshError("unavailable", ...unreachable(server, cause)));
    }
  });
}

function unreachable(server: string, cause: unknown): [message: string, options: ErrorOptions] {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "";
  if (UNTRUSTED.test(code)) {
    const want = "want the authority that signed it as certificate-authority of the kubeconfig";
    return [`Cannot trust the certificate of the API server "${server}", ${want}`, { cause }];
  }
  if (code.startsWith("ERR_OSSL")) {
    const what = `Cannot use the certificates for the API server "${server}", want PEM`;
    return [what, { cause }];
  }
  return [`Cannot reach the API server "${server}"`, { cause }];
}

/** What Node calls a certificate that it does not believe. */
const UNTRUSTED = /SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS_CERT/;

function answer(response: IncomingMessage): ApiResponse {
  return { status: response.statusCode ?? 0, body: response };
}

/** A plugin may never come back; whoever waits for it may have to. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(abortedError(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
