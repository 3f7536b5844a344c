// Requests to one Kubernetes API server: credentials that are read again, bodies as streams with
// a bound. It knows HTTP and kubeconfig, no Kubernetes objects.
//
// The library that reads kubeconfig is loaded when a cluster uses it: it holds a class for every
// object of Kubernetes, which a cluster that is described by manifests should not pay for.
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";

export interface KubernetesAccess {
  /** Path of a kubeconfig file, or "in-cluster" for the service account of the pod. */
  readonly kubeconfig: string;
  /** The file's current context if left out. */
  readonly context?: string | undefined;
}

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
const IN_CLUSTER = "in-cluster";
const UNAUTHORIZED = 401;

export function createKubernetesTransport(
  access: KubernetesAccess,
  { clock }: { clock: Clock },
): KubernetesTransport {
  let config: { readonly kube: KubeConfig; readonly readAtMs: number } | undefined;
  let server = "";

  async function credentials(): Promise<KubeConfig> {
    const now = clock.monotonicMs();
    if (config !== undefined && now - config.readAtMs < CREDENTIALS_MS) return config.kube;
    const kube = await readKubeConfig(access);
    config = { kube, readAtMs: now };
    return kube;
  }

  return {
    get server() {
      return server;
    },
    async send(request, signal) {
      const kube = await credentials();
      server = kube.getCurrentCluster()?.server ?? "";
      const options = await requestOptions(kube, { server, request, signal });
      const response = await open(options, { server, body: request.body });
      const status = response.statusCode ?? 0;
      // Whoever issued the token has changed their mind: the next request reads it anew.
      if (status === UNAUTHORIZED) config = undefined;
      return { status, body: response };
    },
  };
}

async function readKubeConfig(access: KubernetesAccess): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const kube = new KubeConfig();
  try {
    if (access.kubeconfig === IN_CLUSTER) kube.loadFromCluster();
    else kube.loadFromFile(access.kubeconfig);
  } catch (cause) {
    throw new MeshError("not_found", `Cannot read kubeconfig "${access.kubeconfig}"`, { cause });
  }
  if (access.context !== undefined) kube.setCurrentContext(access.context);
  if (kube.getCurrentCluster() === null) {
    const context = kube.getCurrentContext();
    const known = kube.getContexts().map(({ name }) => name);
    throw new MeshError(
      "not_found",
      `Cannot use context "${context}" of kubeconfig "${access.kubeconfig}": want one of ${known.join(", ")}`,
    );
  }
  return kube;
}

async function requestOptions(
  kube: KubeConfig,
  { server, request, signal }: { server: string; request: ApiRequest; signal: AbortSignal },
): Promise<RequestOptions> {
  const base = new URL(server);
  const options: RequestOptions = {
    method: request.method ?? "GET",
    host: base.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: base.port,
    path: base.pathname.replace(/\/$/, "") + request.path,
    headers: {},
    signal,
  };
  try {
    // The library's own copy of the same declarations makes its type another one.
    await kube.applyToHTTPSOptions(options as Parameters<KubeConfig["applyToHTTPSOptions"]>[0]);
  } catch (cause) {
    throw new MeshError("unauthenticated", `Cannot read the credentials for "${server}"`, {
      cause,
    });
  }
  // What it adds to is the record that we gave it.
  const given = options.headers as Record<string, string>;
  const { body, contentType = "application/json" } = request;
  const type = body === undefined ? {} : { "content-type": contentType };
  options.headers = { ...given, accept: "application/json", ...type };
  return options;
}

function open(
  options: RequestOptions,
  { server, body }: { server: string; body: object | undefined },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = server.startsWith("https:") ? httpsRequest(options) : httpRequest(options);
    request.once("socket", (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    request.once("response", resolve);
    request.on("error", (cause) =>
      reject(new MeshError("unavailable", `Cannot reach the API server "${server}"`, { cause })),
    );
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
