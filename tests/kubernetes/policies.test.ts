// A whole apiserver process on a real Kubernetes API: policies of all three kinds become what
// agents read, their owners are told what of them is not honoured, and pods are known to their
// node before they have an address.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Policy } from "../../mesh/core/policy.ts";
import { selectorText } from "../../mesh/core/selector.ts";
import { createTestApiserver, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { installCiliumPolicies, removeDefinition } from "./cilium-definitions.ts";
import { startCustomObjects, type CustomObjects } from "./custom-objects.ts";

const LIMIT_MS = 300_000;
const WAIT = { limitMs: 90_000 };
const RECORDS = "tombolo/local/policies/v1/east/";
const SHOP = "/api/v1/namespaces/shop";
const NETWORK_POLICIES = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies";
const CILIUM_POLICIES = "/apis/cilium.io/v2/namespaces/shop/ciliumnetworkpolicies";
const CLUSTERWIDE_POLICIES = "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies";

let kubernetes: TestKubernetes;
/** Cilium's policies; everything else is the API server's. */
let custom: CustomObjects;
let east: TestApiserver;

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
  custom = await startCustomObjects(kubernetes);
  const kubeconfig = await custom.writeKubeconfig();
  const source = { kind: "kubernetes", kubeconfig, context: "test" };
  east = await createTestApiserver({ name: "east", id: 1, source });
  await post("/api/v1/namespaces", { metadata: { name: "shop" } });
  east.start();
  await east.ready();
}, LIMIT_MS);

afterAll(async () => {
  await east?.close();
  await custom?.close();
  await kubernetes?.close();
}, LIMIT_MS);

const post = (path: string, body: object): Promise<unknown> =>
  kubernetes.call({ method: "POST", path, body });
/** Names of the records. */
async function names(): Promise<string[]> {
  return [...(await east.contents(RECORDS)).keys()].map((key) => key.slice(RECORDS.length)).sort();
}

async function policy(name: string): Promise<Policy | undefined> {
  const record = (await east.contents(RECORDS + name)).get(RECORDS + name);
  return record === undefined ? undefined : (JSON.parse(record) as Policy);
}

interface KubernetesEvent {
  readonly type: string;
  readonly message: string;
  readonly involvedObject: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
  };
}

async function eventsOn(kind: string, namespace: string): Promise<string[]> {
  const path = `/api/v1/namespaces/${namespace}/events`;
  const { items } = await kubernetes.call<{ items: KubernetesEvent[] }>({ path });
  return items
    .filter(({ involvedObject }) => involvedObject.kind === kind)
    .map(({ involvedObject, message }) => `${involvedObject.name}: ${message}`);
}

describe("apiserver", () => {
  test(
    "is ready without Cilium's kinds, and follows them once they are installed",
    async () => {
      expect(await names()).toEqual([]);
      await post(NETWORK_POLICIES, {
        metadata: { name: "web" },
        spec: {
          podSelector: { matchLabels: { app: "web" } },
          ingress: [{ from: [{ podSelector: {} }] }],
        },
      });
      await eventually(async () => (await names()).join() === "NetworkPolicy/shop/web", WAIT);
      const web = await policy("NetworkPolicy/shop/web");
      expect(web?.rules[0]?.defaultDeny).toEqual({ ingress: true, egress: false });
      const [peer] = web?.rules[0]?.ingress[0]?.peers ?? [];
      expect(peer?.kind === "pods" && selectorText(peer.selector)).toBe(
        "k8s:io.cilium.k8s.policy.cluster=east, k8s:io.kubernetes.pod.namespace=shop",
      );

      await installCiliumPolicies(kubernetes);
      const spec = { endpointSelector: {}, ingress: [{ fromEntities: ["cluster"] }] };
      custom.put(`${CILIUM_POLICIES}/api`, spec);
      custom.put(`${CLUSTERWIDE_POLICIES}/base`, spec);
      await eventually(async () => (await names()).length === 3, WAIT);
      expect(await names()).toEqual([
        "CiliumClusterwideNetworkPolicy/base",
        "CiliumNetworkPolicy/shop/api",
        "NetworkPolicy/shop/web",
      ]);
      const world = { endpointSelector: {}, ingress: [{ fromEntities: ["world"] }] };
      custom.put(`${CILIUM_POLICIES}/api`, world);
      await eventually(async () => {
        const changed = await policy("CiliumNetworkPolicy/shop/api");
        const [now] = changed?.rules[0]?.ingress[0]?.peers ?? [];
        return now?.kind === "entity" && now.entity === "world";
      }, WAIT);
    },
    LIMIT_MS,
  );

  test(
    "tells owners what is not honoured, by an Event on the object and in status",
    async () => {
      const l7 = { ports: [{ port: "80", protocol: "TCP" }], rules: { http: [{}] } };
      const spec = { endpointSelector: {}, ingress: [{ toPorts: [l7] }] };
      custom.put(`${CILIUM_POLICIES}/l7`, spec);
      const nodes = { nodeSelector: {}, ingress: [{}] };
      custom.put(`${CLUSTERWIDE_POLICIES}/nodes`, nodes);
      const refused =
        "Cannot honour spec.ingress[0].toPorts[0].rules: rules of layer 7 need a proxy";
      await eventually(async () => {
        const told = await eventsOn("CiliumNetworkPolicy", "shop");
        return told.some((text) => text.startsWith(`l7: ${refused}`));
      }, WAIT);
      await eventually(async () => {
        const told = await eventsOn("CiliumClusterwideNetworkPolicy", "default");
        return told.some((text) => text.startsWith("nodes: Cannot honour spec.nodeSelector"));
      }, WAIT);
      const problems = (await east.status()).source?.problems ?? [];
      expect(problems.map(({ object }) => object).sort()).toEqual([
        "CiliumClusterwideNetworkPolicy nodes",
        "CiliumNetworkPolicy shop/l7",
      ]);
      const record = await eventually(() => policy("CiliumNetworkPolicy/shop/l7"), WAIT);
      expect(record.refusals.map(({ path }) => path)).toEqual(["spec.ingress[0].toPorts[0].rules"]);
      expect(record.rules[0]?.ingress[0]?.ports).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "closes what a policy may be about that it cannot read",
    async () => {
      const spec = { endpointSelector: {}, ingress: [{ fromCIDR: ["10.0.0.0/99"] }] };
      custom.put(`${CILIUM_POLICIES}/broken`, spec);
      const record = await eventually(() => policy("CiliumNetworkPolicy/shop/broken"), WAIT);
      expect(record.rules[0]?.ingress[0]).toMatchObject({ verdict: "deny" });
      custom.remove(`${CILIUM_POLICIES}/broken`);
      await eventually(
        async () => (await policy("CiliumNetworkPolicy/shop/broken")) === undefined,
        WAIT,
      );
    },
    LIMIT_MS,
  );

  test(
    "follows the endpoints of a Service that a policy names",
    async () => {
      await post(`${SHOP}/services`, { metadata: { name: "db" }, spec: { ports: [{ port: 80 }] } });
      const slices = "/apis/discovery.k8s.io/v1beta1/namespaces/shop/endpointslices";
      await post(slices, {
        metadata: { name: "db-1", labels: { "kubernetes.io/service-name": "db" } },
        addressType: "IPv4",
        ports: [],
        endpoints: [{ addresses: ["192.0.2.7"] }],
      });
      const toServices = [{ k8sService: { serviceName: "db", namespace: "shop" } }];
      const spec = { endpointSelector: {}, egress: [{ toServices }] };
      custom.put(`${CILIUM_POLICIES}/to-db`, spec);
      const addressed = async (): Promise<string> => {
        const record = await policy("CiliumNetworkPolicy/shop/to-db");
        const peers = record?.rules[0]?.egress[0]?.peers ?? [];
        return peers.map((peer) => (peer.kind === "cidr" ? peer.cidr : peer.kind)).join();
      };
      await eventually(async () => (await addressed()) === "192.0.2.7/32", WAIT);
      const body = { endpoints: [{ addresses: ["192.0.2.8"] }] };
      await kubernetes.call({ method: "PATCH", path: `${slices}/db-1`, body });
      await eventually(async () => (await addressed()) === "192.0.2.8/32", WAIT);
    },
    LIMIT_MS,
  );

  test(
    "tells a node of its pod before the pod has an address",
    async () => {
      const prefix = "tombolo/local/pods/v1/east/n1/shop/web-0";
      const ports = [{ name: "http", containerPort: 8080 }];
      await post(`${SHOP}/serviceaccounts`, { metadata: { name: "web" } });
      await post(`${SHOP}/pods`, {
        metadata: { name: "web-0", labels: { app: "web" } },
        spec: { nodeName: "n1", containers: [{ name: "c", image: "c", ports }] },
      });
      const record = await eventually(async () => (await east.contents(prefix)).get(prefix), WAIT);
      const { identity, namedPorts } = JSON.parse(record) as {
        identity: number;
        namedPorts: object[];
      };
      expect(namedPorts).toEqual([{ name: "http", port: 8080, protocol: "TCP" }]);
      const labels = `tombolo/local/identities/v1/east/${identity}`;
      expect((await east.contents(labels)).get(labels)).toContain("k8s:app=web;");
    },
    LIMIT_MS,
  );

  test(
    "keeps policies over a restart of the API server, and drops a kind with its definition",
    async () => {
      const before = await names();
      await kubernetes.kill();
      await kubernetes.restart();
      await post(NETWORK_POLICIES, { metadata: { name: "last" }, spec: { podSelector: {} } });
      await eventually(async () => (await names()).includes("NetworkPolicy/shop/last"), WAIT);
      expect(await names()).toEqual([...before, "NetworkPolicy/shop/last"].sort());
      await removeDefinition(kubernetes, "ciliumnetworkpolicies.cilium.io");
      custom.drop("ciliumnetworkpolicies");
      await eventually(
        async () => !(await names()).some((name) => name.startsWith("CiliumNetworkPolicy/")),
        WAIT,
      );
      expect(await names()).toContain("CiliumClusterwideNetworkPolicy/base");
    },
    LIMIT_MS,
  );
});
