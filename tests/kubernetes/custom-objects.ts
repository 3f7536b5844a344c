// In front of a real kube-apiserver: keeps the objects of Cilium's kinds itself and passes on
// everything else, their definitions too. The API server that tests find here is 1.20 built with a
// newer Go than it was made for, and ends with a fault of memory as soon as it reads any object of
// a custom kind; it does serve the kinds, empty.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { ADMIN_TOKEN, type TestKubernetes } from "../fakes/kubernetes.ts";

export interface CustomObjects {
  /** A kubeconfig that leads here. */
  writeKubeconfig(): Promise<string>;
  /** Adds or replaces the object at a path. */
  put(path: string, spec: object): void;
  remove(path: string): void;
  /** What the API server does with objects whose definition is deleted. */
  drop(plural: string): void;
  close(): Promise<void>;
}

const PREFIX = "/apis/cilium.io/v2/";

interface Change {
  readonly plural: string;
  readonly version: number;
  readonly event: { readonly type: string; readonly object: object };
}

export async function startCustomObjects(kubernetes: TestKubernetes): Promise<CustomObjects> {
  const objects = new Map<string, object>();
  const changes: Change[] = [];
  const dropped = new Set<string>();
  const watches = new Set<{ readonly plural: string; readonly response: ServerResponse }>();
  let version = 1_000;

  function change(path: string, event: Change["event"]): void {
    const plural = pluralOf(path);
    changes.push({ plural, version, event });
    for (const watch of watches) if (watch.plural === plural) tell(watch.response, event);
  }

  function list(plural: string, response: ServerResponse): void {
    const items = [...objects].filter(([path]) => pluralOf(path) === plural).map(([, it]) => it);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ metadata: { resourceVersion: String(version) }, items }));
  }

  function watch(plural: string, { from, response }: { from: number; response: ServerResponse }) {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    for (const { plural: of, version: at, event } of changes) {
      if (of === plural && at > from) tell(response, event);
    }
    const entry = { plural, response };
    watches.add(entry);
    response.on("close", () => watches.delete(entry));
  }

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://front");
    const plural = pathname.slice(PREFIX.length);
    if (!pathname.startsWith(PREFIX) || dropped.has(plural))
      pass(request, { response, kubernetes });
    else if (!searchParams.has("watch")) list(plural, response);
    else watch(plural, { from: Number(searchParams.get("resourceVersion")), response });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  return {
    writeKubeconfig: () => {
      // Without TLS, which a token is sent over only if nobody asks for TLS to be verified.
      const cluster = { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true };
      const clusters = [{ name: "test", cluster }];
      return kubernetes.writeUserKubeconfig({ token: ADMIN_TOKEN }, { clusters });
    },
    put(path, spec) {
      const type = objects.has(path) ? "MODIFIED" : "ADDED";
      const metadata = { ...nameOf(path), uid: `uid-${path}`, resourceVersion: String(++version) };
      const object = { metadata, spec };
      objects.set(path, object);
      change(path, { type, object });
    },
    remove(path) {
      const metadata = { ...nameOf(path), resourceVersion: String(++version) };
      objects.delete(path);
      change(path, { type: "DELETED", object: { metadata } });
    },
    drop(plural) {
      dropped.add(plural);
      for (const path of objects.keys()) if (pluralOf(path) === plural) objects.delete(path);
      for (const { plural: of, response } of watches) if (of === plural) response.destroy();
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function tell(response: ServerResponse, event: object): void {
  response.write(`${JSON.stringify(event)}\n`);
}

/** ".../namespaces/shop/ciliumnetworkpolicies/web" and ".../ciliumclusterwidenetworkpolicies/base". */
function pluralOf(path: string): string {
  return path.split("/").at(-2) ?? "";
}

function nameOf(path: string): { name: string; namespace?: string } {
  const parts = path.slice(PREFIX.length).split("/");
  const name = parts.at(-1) ?? "";
  return parts[0] === "namespaces" ? { name, namespace: parts[1] ?? "" } : { name };
}

function pass(
  request: IncomingMessage,
  { response, kubernetes }: { response: ServerResponse; kubernetes: TestKubernetes },
): void {
  const { method, url, headers } = request;
  const target = { host: "127.0.0.1", port: kubernetes.port, ca: kubernetes.ca };
  const passed = httpsRequest({ ...target, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.on("error", () => response.destroy());
    answer.pipe(response);
  });
  passed.on("error", () => response.destroy());
  response.on("close", () => passed.destroy());
  request.pipe(passed);
}
