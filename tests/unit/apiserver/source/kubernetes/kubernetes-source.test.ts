import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { EventRecorder } from "../../../../../apiserver/source/kubernetes/event-recorder.ts";
import {
  createKubernetesSource,
  type KubernetesSource,
} from "../../../../../apiserver/source/kubernetes/kubernetes-source.ts";
import type { ApiRequest, KubernetesTransport } from "../../../../../mesh/kubernetes/transport.ts";
import {
  createSource,
  SOURCE_KINDS,
  type WritableSource,
} from "../../../../../apiserver/source/objects.ts";
import { MeshError } from "../../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../../mesh/core/logger.ts";
import { createFakeClock } from "../../../../fakes/clock.ts";
import { eventually } from "../../../../fakes/eventually.ts";

let tables: WritableSource;
let source: KubernetesSource;
let told: Map<string, readonly string[]>;
/** Path of a collection → its objects. */
let served: Map<string, object[]>;
/** Names of CustomResourceDefinitions. */
let defined: Set<string>;
let watches: Map<string, (event: object) => void>;
/** Nobody answers. */
let away: boolean;
let stop: () => Promise<void>;

const clock = createFakeClock();

beforeEach(() => {
  tables = createSource();
  told = new Map();
  served = new Map();
  defined = new Set();
  watches = new Map();
  away = false;
  const transport: KubernetesTransport = { server: "https://fake", send };
  const events: EventRecorder = {
    setProblems: ({ metadata }, messages) => told.set(metadata.name, messages),
    forget: (key) => told.delete(key.split("/")[1] ?? ""),
    run: (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
  };
  source = createKubernetesSource({
    transport,
    source: tables,
    events: new Map(["Service" as const, "NetworkPolicy" as const].map((kind) => [kind, events])),
    clock,
    random: () => 0.5,
    log: silentLogger,
  });
  const abort = new AbortController();
  let running = Promise.resolve();
  start = () => {
    running = source.run(abort.signal);
  };
  stop = async () => {
    abort.abort();
    await running;
  };
});
afterEach(() => stop());

let start: () => void;

/** Lists what is served and leaves watches open. */
async function send(request: ApiRequest, signal: AbortSignal) {
  if (away) throw new MeshError("unavailable", "Cannot reach the API server");
  const { pathname, searchParams } = new URL(request.path, "https://fake");
  const json = (body: object) => ({ status: 200, body: oneChunk(JSON.stringify(body)) });
  if (pathname === "/apis/discovery.k8s.io") return json({ versions: [{ version: "v1" }] });
  if (pathname.includes("/customresourcedefinitions/")) {
    const name = pathname.split("/").at(-1) ?? "";
    return defined.has(name) ? json({ metadata: { name } }) : { ...json({}), status: 404 };
  }
  if (searchParams.has("watch")) return { status: 200, body: openWatch(pathname, signal) };
  return json({ metadata: { resourceVersion: "5" }, items: served.get(pathname) ?? [] });
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function* openWatch(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  while (!signal.aborted) {
    const event = await new Promise<object | undefined>((resolve) => {
      watches.set(path, resolve);
      signal.addEventListener("abort", () => resolve(undefined));
    });
    if (event !== undefined) yield Buffer.from(`${JSON.stringify(event)}\n`);
  }
}

async function emit(path: string, event: object): Promise<void> {
  const watch = await eventually(() => watches.get(path));
  watches.delete(path);
  watch(event);
}

const SERVICES = "/api/v1/services";
const cart = (fields: { annotations?: object; spec?: object; resourceVersion?: string }) => ({
  metadata: {
    namespace: "shop",
    name: "cart",
    resourceVersion: fields.resourceVersion ?? "4",
    annotations: fields.annotations,
  },
  spec: { clusterIP: "10.96.0.9", ports: [{ port: 80 }], ...fields.spec },
});

describe("createKubernetesSource()", () => {
  test("has read everything two seconds after an API server is back that was long away", async () => {
    away = true;
    start();
    for (let seconds = 0; seconds < 120; seconds++) await clock.advance(1_000);
    expect(source.status().problems).toHaveLength(SOURCE_KINDS.length);
    away = false;
    await clock.advance(2_000);
    expect(source.status().problems).toEqual([]);
  });

  test("fills every table and marks each synced, an empty kind too", async () => {
    served.set("/api/v1/namespaces", [{ metadata: { name: "shop" } }]);
    served.set(SERVICES, [cart({})]);
    start();
    await eventually(() => SOURCE_KINDS.every((kind) => tables[kind].synced));
    expect(tables.Namespace.get("shop")?.global).toBe(true);
    expect(tables.Service.get("shop/cart")?.ports).toMatchObject([{ port: 80, target: 80 }]);
    expect(source.status()).toEqual({ files: 0, problems: [] });
  });

  test("keeps the last good state of an object that cannot be used, and names it", async () => {
    served.set(SERVICES, [cart({})]);
    start();
    await eventually(() => tables.Service.size === 1);
    const broken = cart({ spec: { ports: [{ port: "eighty" }] }, resourceVersion: "6" });
    await emit(SERVICES, { type: "MODIFIED", object: broken });
    const [problem] = await eventually(() => {
      const { problems } = source.status();
      return problems.length > 0 && problems;
    });
    expect(problem).toMatchObject({ severity: "error", object: "Service shop/cart" });
    expect(problem?.message).toContain("Cannot use spec.ports[0].port: want a whole number");
    expect(tables.Service.get("shop/cart")?.ports[0]?.port).toBe(80);
    await emit(SERVICES, { type: "MODIFIED", object: cart({ resourceVersion: "7" }) });
    await eventually(() => source.status().problems.length === 0);
  });

  test("tells the Service's owner about annotations, and forgets with the Service", async () => {
    const wrong = cart({ annotations: { "service.cilium.io/global": "maybe" } });
    served.set(SERVICES, [wrong]);
    start();
    await eventually(() => told.get("cart")?.length === 1);
    expect(told.get("cart")?.[0]).toContain('Cannot use "maybe" as service.cilium.io/global');
    expect(tables.Service.get("shop/cart")?.settings.global).toBe(false);
    await emit(SERVICES, { type: "DELETED", object: cart({ resourceVersion: "8" }) });
    await eventually(() => tables.Service.size === 0);
    expect(told.size).toBe(0);
    expect(source.status().problems).toEqual([]);
  });

  test("takes a Service away that becomes an alias", async () => {
    served.set(SERVICES, [cart({})]);
    start();
    await eventually(() => tables.Service.size === 1);
    const alias = cart({ spec: { type: "ExternalName" }, resourceVersion: "9" });
    await emit(SERVICES, { type: "MODIFIED", object: alias });
    await eventually(() => tables.Service.size === 0);
  });

  const POLICIES = "/apis/networking.k8s.io/v1/networkpolicies";
  const policy = (spec: unknown, resourceVersion = "5"): object => ({
    metadata: { namespace: "shop", name: "web", uid: "u", resourceVersion },
    spec,
  });

  test("closes what a policy may be about that was never read, and keeps one that was", async () => {
    served.set(POLICIES, [policy({ podSelector: 5 })]);
    start();
    const closed = await eventually(() => tables.NetworkPolicy.get("shop/web"));
    expect(closed.rules[0]?.defaultDeny).toEqual({ ingress: true, egress: true });
    expect(closed.refusals[0]?.message).toContain("Cannot use spec.podSelector: want a map");
    await emit(POLICIES, { type: "MODIFIED", object: policy({ podSelector: {} }, "6") });
    const read = await eventually(() => {
      const found = tables.NetworkPolicy.get("shop/web");
      return found !== closed && found;
    });
    expect(read.refusals).toEqual([]);
    await emit(POLICIES, { type: "MODIFIED", object: policy({ podSelector: 5 }, "7") });
    await eventually(() => source.status().problems.length === 1);
    expect(tables.NetworkPolicy.get("shop/web")).toBe(read);
  });

  test("tells the policy's owner what of it is not honoured", async () => {
    served.set(POLICIES, [policy({ podSelector: {}, ingress: [{ only: "x" }] })]);
    start();
    await eventually(() => told.get("web")?.length === 1);
    expect(told.get("web")?.[0]).toContain("Cannot honour spec.ingress[0].only: it is unknown");
  });
});
