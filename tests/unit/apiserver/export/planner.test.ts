import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createDesiredTables, type DesiredTables } from "../../../../apiserver/export/desired.ts";
import { createExportPlanner, type ExportPlanner } from "../../../../apiserver/export/planner.ts";
import { createIdentityAllocator } from "../../../../apiserver/identity/allocator.ts";
import {
  createSource,
  SOURCE_KINDS,
  type PodObject,
  type ServiceObject,
  type WritableSource,
} from "../../../../apiserver/source/objects.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { DEFAULT_SERVICE_SETTINGS } from "../../../../mesh/core/service.ts";
import { eventually } from "../../../fakes/eventually.ts";

const CLUSTER = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const IP = "cilium/state/ip/v1/default/";
const SERVICES = "cilium/state/services/v1/east/";
const PODS = "tombolo/local/pods/v1/east/";
const LOCAL = "tombolo/local/services/v1/east/";

let source: WritableSource;
let desired: DesiredTables;
let planner: ExportPlanner;
let stop: () => Promise<void>;

function start(lastIdentity = 131_071): void {
  source = createSource();
  desired = createDesiredTables("east");
  const identities = createIdentityAllocator({
    range: { first: 65_536, last: lastIdentity },
    nowMs: () => 0,
  });
  planner = createExportPlanner({
    cluster: CLUSTER,
    source,
    identities,
    desired,
    log: silentLogger,
  });
  const abort = new AbortController();
  const running = planner.run(abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
}

beforeEach(() => start());
afterEach(() => stop());

function putNode(ip: string): void {
  source.Node.put("n1", {
    kind: "Node",
    name: "n1",
    labels: new Map(),
    annotations: new Map([
      ["kubectl.kubernetes.io/last-applied-configuration", "{}"],
      ["network.cilium.io/x", "y"],
    ]),
    addresses: [{ type: "InternalIP", ip }],
    podPrefixes: ["10.1.0.0/24"],
    bootId: "",
  });
}

function putPod(name: string, ip: string, fields: Partial<PodObject> = {}): void {
  source.Pod.put(`shop/${name}`, {
    kind: "Pod",
    namespace: "shop",
    name,
    labels: new Map([["app", "cart"]]),
    serviceAccount: "default",
    nodeName: "n1",
    hostNetwork: false,
    ips: [ip],
    ports: [],
    ready: true,
    terminating: false,
    finished: false,
    ...fields,
  });
}

function putService(name: string, fields: Partial<ServiceObject> = {}): void {
  source.Service.put(`shop/${name}`, {
    kind: "Service",
    namespace: "shop",
    name,
    labels: new Map(),
    selector: new Map([["app", "cart"]]),
    clusterIps: ["10.96.0.1"],
    families: [],
    ports: [{ name: "http", port: 80, protocol: "TCP", target: 8080 }],
    publishNotReady: false,
    settings: { ...DEFAULT_SERVICE_SETTINGS, global: true },
    ...fields,
  });
}

function markSynced(): void {
  for (const kind of SOURCE_KINDS) source[kind].markSynced();
}

function row(kind: keyof DesiredTables, key: string): Record<string, unknown> | undefined {
  const value = desired[kind].table.get(key);
  return value === undefined
    ? undefined
    : (JSON.parse(value.toString()) as Record<string, unknown>);
}

const backendsOf = (key: string): string[] =>
  Object.keys((row("services", key)?.["backends"] ?? {}) as object).sort();

describe("createExportPlanner()", () => {
  test("plans nothing before the whole source is synced, then everything", async () => {
    putPod("cart-0", "10.1.0.5");
    putService("cart");
    putNode("192.168.1.1");
    for (const kind of SOURCE_KINDS.slice(1)) source[kind].markSynced();
    await new Promise((resolve) => setImmediate(resolve));
    expect(desired.ip.table.size).toBe(0);
    source.Namespace.put("shop", {
      kind: "Namespace",
      name: "shop",
      labels: new Map([["team", "a"]]),
      global: true,
    });
    markSynced();
    // Policies are planned apart.
    await eventually(() =>
      Object.values(desired).every(({ kind, table }) => table.synced || kind === "policies"),
    );
    expect(row("ip", `${IP}10.1.0.5`)).toMatchObject({ HostIP: "192.168.1.1", ID: 65_536 });
    expect(desired.identities.table.size).toBe(1);
    const labels = desired.identities.table.get("cilium/state/identities/v1/id/65536");
    expect(labels?.toString()).toContain("namespace.labels.team=a;");
    expect(backendsOf(`${SERVICES}shop/cart`)).toEqual(["10.1.0.5"]);
    expect(row("local-services", `${LOCAL}shop/cart`)).toBeDefined();
    expect(row("nodes", "cilium/state/nodes/v1/east/n1")?.["Annotations"]).toEqual({
      "network.cilium.io/x": "y",
    });
  });

  test("exports only services that are global and shared, and keeps all for its own agents", async () => {
    putService("mine", { settings: DEFAULT_SERVICE_SETTINGS });
    putService("taker", { settings: { ...DEFAULT_SERVICE_SETTINGS, global: true, shared: false } });
    putService("cart");
    markSynced();
    await eventually(() => desired.services.table.synced);
    expect([...desired.services.table.entries()].map(([key]) => key)).toEqual([
      `${SERVICES}shop/cart`,
    ]);
    expect(desired["local-services"].table.size).toBe(3);
    putService("cart", { settings: DEFAULT_SERVICE_SETTINGS });
    await eventually(() => desired.services.table.size === 0);
    source.Service.delete("shop/mine");
    await eventually(() => desired["local-services"].table.size === 2);
  });

  test("follows a pod: its labels, readiness, address and end", async () => {
    putService("cart");
    putPod("cart-0", "10.1.0.5");
    markSynced();
    const key = `${SERVICES}shop/cart`;
    await eventually(() => backendsOf(key).join() === "10.1.0.5");
    putPod("cart-0", "10.1.0.5", { ready: false });
    await eventually(() => backendsOf(key).length === 0);
    expect(row("ip", `${IP}10.1.0.5`)).toBeDefined();
    putPod("cart-0", "10.1.0.6");
    await eventually(() => backendsOf(key).join() === "10.1.0.6");
    expect(row("ip", `${IP}10.1.0.5`)).toBeUndefined();
    putPod("cart-0", "10.1.0.6", { labels: new Map([["app", "other"]]) });
    await eventually(() => backendsOf(key).length === 0);
    expect(row("ip", `${IP}10.1.0.6`)?.["ID"]).toBe(65_537);
    source.Pod.delete("shop/cart-0");
    await eventually(() => desired.ip.table.size === 0);
  });

  test("plans again only the service that a changed pod belongs to", async () => {
    putService("cart");
    putService("bank", { selector: new Map([["app", "bank"]]) });
    markSynced();
    await eventually(() => desired.services.table.synced);
    const changed = new Set<string>();
    const watching = new AbortController();
    const feed = desired["local-services"].table.changes(watching.signal)[Symbol.asyncIterator]();
    await feed.next();
    const before = desired["local-services"].table.get(`${LOCAL}shop/bank`);
    putPod("cart-0", "10.1.0.5");
    for (const key of (await feed.next()).value as ReadonlySet<string>) changed.add(key);
    expect([...changed]).toEqual([`${LOCAL}shop/cart`]);
    expect(desired["local-services"].table.get(`${LOCAL}shop/bank`)).toBe(before);
    watching.abort();
    await feed.next();
  });

  test("takes endpoints from slices as soon as there is one, and pods again without", async () => {
    putService("cart");
    putPod("cart-0", "10.1.0.5");
    markSynced();
    const key = `${SERVICES}shop/cart`;
    await eventually(() => backendsOf(key).join() === "10.1.0.5");
    source.EndpointSlice.put("shop/cart-1", {
      kind: "EndpointSlice",
      namespace: "shop",
      name: "cart-1",
      serviceName: "cart",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: ["10.9.0.1"], ready: true, serving: true, terminating: false }],
    });
    await eventually(() => backendsOf(key).join() === "10.9.0.1");
    source.EndpointSlice.delete("shop/cart-1");
    await eventually(() => backendsOf(key).join() === "10.1.0.5");
  });

  test("follows a node's address into its pods, and a namespace's labels into identities", async () => {
    putNode("192.168.1.1");
    putPod("cart-0", "10.1.0.5");
    putPod("host-0", "192.168.1.1", { hostNetwork: true });
    markSynced();
    await eventually(() => row("ip", `${IP}10.1.0.5`)?.["HostIP"] === "192.168.1.1");
    expect(desired.ip.table.size).toBe(1);
    putNode("192.168.1.9");
    await eventually(() => row("ip", `${IP}10.1.0.5`)?.["HostIP"] === "192.168.1.9");
    source.Namespace.put("shop", {
      kind: "Namespace",
      name: "shop",
      labels: new Map([["a", "b"]]),
      global: true,
    });
    await eventually(() => row("ip", `${IP}10.1.0.5`)?.["ID"] === 65_537);
    source.Node.delete("n1");
    await eventually(() => row("ip", `${IP}10.1.0.5`)?.["HostIP"] === "");
  });

  test("exports nothing of a namespace that is not global, until it is", async () => {
    const shop = { kind: "Namespace", name: "shop", labels: new Map<string, string>() } as const;
    putNode("192.168.1.1");
    putPod("cart-0", "10.1.0.5");
    putService("cart");
    source.Namespace.put("shop", { ...shop, global: false });
    markSynced();
    await eventually(() => desired.services.table.synced);
    expect(desired.ip.table.size).toBe(0);
    expect(desired.services.table.size).toBe(0);
    expect(desired.identities.table.size).toBe(0);
    // The cluster itself goes on balancing the service.
    expect(row("local-services", `${LOCAL}shop/cart`)).toBeDefined();

    source.Namespace.put("shop", { ...shop, global: true });
    await eventually(() => backendsOf(`${SERVICES}shop/cart`).join() === "10.1.0.5");
    await eventually(() => desired.ip.table.size === 1);
    source.Namespace.put("shop", { ...shop, global: false });
    await eventually(() => desired.services.table.size === 0 && desired.ip.table.size === 0);
  });

  test("keeps the labels of such a namespace to its own agents", async () => {
    const shop = { kind: "Namespace", name: "shop", labels: new Map<string, string>() } as const;
    const local = "tombolo/local/identities/v1/east/65536";
    putPod("cart-0", "10.1.0.5");
    source.Namespace.put("shop", { ...shop, global: false });
    markSynced();
    await eventually(() => desired["local-identities"].table.get(local) !== undefined);
    expect(desired.identities.table.size).toBe(0);
    expect(row("pods", `${PODS}n1/shop/cart-0`)).toEqual({ identity: 65_536, namedPorts: [] });
    source.Namespace.put("shop", { ...shop, global: true });
    await eventually(() => desired.identities.table.size === 1);
    source.Namespace.put("shop", { ...shop, global: false });
    await eventually(() => desired.identities.table.size === 0);
    expect(desired["local-identities"].table.size).toBe(1);
  });

  test("tells a node's agent of its pods, before they have an address", async () => {
    const web = { name: "web", port: 8080, protocol: "TCP" } as const;
    putPod("cart-0", "10.1.0.5", { ips: [], ports: [web] });
    putPod("waiting-0", "10.1.0.6", { ips: [], nodeName: "" });
    putPod("host-0", "192.168.1.1", { hostNetwork: true });
    markSynced();
    await eventually(() => desired.pods.table.size === 1);
    expect(row("pods", `${PODS}n1/shop/cart-0`)).toEqual({ identity: 65_536, namedPorts: [web] });
    expect(desired.ip.table.size).toBe(0);
    putPod("cart-0", "10.1.0.5", { nodeName: "n2" });
    await eventually(() => row("pods", `${PODS}n2/shop/cart-0`) !== undefined);
    expect(desired.pods.table.size).toBe(1);
    putPod("cart-0", "10.1.0.5", { finished: true });
    await eventually(() => desired.pods.table.size === 0);
  });

  test("tells which pod has no identity, plans the others, and retries", async () => {
    await stop();
    start(65_536);
    putPod("cart-0", "10.1.0.5");
    putPod("bank-0", "10.1.0.6", { labels: new Map([["app", "bank"]]) });
    markSynced();
    await eventually(() => desired.ip.table.synced);
    expect(desired.ip.table.size).toBe(1);
    expect([...planner.unplannable().keys()]).toEqual(["Pod shop/bank-0"]);
    putPod("bank-0", "10.1.0.6");
    await eventually(() => desired.ip.table.size === 2);
    await planner.retry();
    expect(planner.unplannable().size).toBe(0);
  });
});
