// What the objects of a real API server become in a cluster's etcd, as a Kubernetes user expects
// it: of every kind of Service, of pods in every state, and of what must not leave the cluster.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createTestApiserver, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";

const LIMIT_MS = 300_000;
const WAIT = { limitMs: 90_000, pollMs: 100 };
const GLOBAL = { "service.cilium.io/global": "true" };
const SLICES = "/apis/discovery.k8s.io/v1beta1/namespaces/shop/endpointslices";
const PODS = "/api/v1/namespaces/shop/pods";
const SERVICES_KEY = "cilium/state/services/v1/east/";
const IP_KEY = "cilium/state/ip/v1/default/";

let kubernetes: TestKubernetes;
let east: TestApiserver;

beforeAll(async () => {
  kubernetes = await startTestKubernetes({
    flags: [
      "--feature-gates=IPv6DualStack=true,EndpointSliceTerminatingCondition=true",
      "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
    ],
  });
  const { path } = await kubernetes.writeKubeconfig();
  const source = { kind: "kubernetes", kubeconfig: path, context: "test" };
  east = await createTestApiserver({ name: "east", id: 1, source });
  east.start();
  for (const name of ["shop", "private"]) {
    await post("/api/v1/namespaces", { metadata: { name, labels: { team: name } } });
  }
  await addNode();
  await east.ready();
}, LIMIT_MS);
afterAll(async () => {
  await east?.close();
  await kubernetes?.close();
}, LIMIT_MS);

const post = (path: string, body: object): Promise<unknown> =>
  kubernetes.call({ method: "POST", path, body });
const patch = (path: string, body: object): Promise<unknown> =>
  kubernetes.call({ method: "PATCH", path, body });

async function addNode(): Promise<void> {
  const podCIDRs = ["10.1.0.0/24", "fd00:10:1::/64"];
  const spec = { podCIDR: podCIDRs[0], podCIDRs };
  await post("/api/v1/nodes", { metadata: { name: "n1" }, spec });
  await setNodeAddress("192.168.1.1");
}

const setNodeAddress = (address: string): Promise<unknown> =>
  patch("/api/v1/nodes/n1/status", { status: { addresses: [{ type: "InternalIP", address }] } });

async function addService(
  name: string,
  fields: { namespace?: string; annotations?: object; spec?: object } = {},
): Promise<void> {
  const { namespace = "shop", annotations = GLOBAL, spec } = fields;
  await post(`/api/v1/namespaces/${namespace}/services`, {
    metadata: { name, annotations },
    spec: { ports: [{ name: "http", port: 80 }], ...spec },
  });
}

async function addSlice(
  service: string,
  fields: { name: string; endpoints: object[]; port?: number; addressType?: string },
): Promise<void> {
  const { name, endpoints, port = 8080, addressType = "IPv4" } = fields;
  await post(SLICES, {
    metadata: { name, labels: { "kubernetes.io/service-name": service } },
    addressType,
    ports: [{ name: "http", port, protocol: "TCP" }],
    endpoints,
  });
}

async function addPod(name: string, fields: { ip: string; spec?: object }): Promise<void> {
  const containers = [{ name: "c", image: "i" }];
  const metadata = { name, labels: { app: name } };
  await post(PODS, { metadata, spec: { nodeName: "n1", containers, ...fields.spec } });
  await setPodStatus(name, { phase: "Running", podIP: fields.ip, podIPs: [{ ip: fields.ip }] });
}

const setPodStatus = (name: string, status: object): Promise<unknown> =>
  patch(`${PODS}/${name}/status`, { status });

async function record(key: string): Promise<Record<string, unknown> | undefined> {
  const text = (await east.contents(key)).get(key);
  return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>);
}

/** "address port" of every backend, once they are as wanted. */
async function backendsBecome(service: string, wanted: string[]): Promise<void> {
  await eventually(
    async () => {
      const found = await record(`${SERVICES_KEY}shop/${service}`);
      const backends = (found?.["backends"] ?? {}) as Record<string, { http: { Port: number } }>;
      const texts = Object.entries(backends).map(([ip, { http }]) => `${ip} ${http.Port}`);
      expect(texts.sort()).toEqual(wanted);
      return found !== undefined;
    },
    { ...WAIT, what: `backends of ${service}` },
  );
}

/** Addresses of those that terminate but still serve, once they are as wanted. */
async function leavingBecome(service: string, wanted: string[]): Promise<void> {
  await eventually(
    async () => {
      const found = await record(`${SERVICES_KEY}shop/${service}`);
      expect(Object.keys(found?.["leaving"] ?? {})).toEqual(wanted);
      return found !== undefined;
    },
    { ...WAIT, what: `leaving endpoints of ${service}` },
  );
}

const frontendsOf = async (service: string): Promise<string[]> =>
  Object.keys((await record(`${SERVICES_KEY}shop/${service}`))?.["frontends"] as object);

const identityOf = (ip: string): Promise<number> =>
  eventually(async () => (await record(`${IP_KEY}${ip}`))?.["ID"] as number | undefined, WAIT);

const labelsOf = async (identity: number): Promise<string> => {
  const key = `cilium/state/identities/v1/id/${identity}`;
  return (await east.contents(key)).get(key) ?? "";
};

describe("services of a real API server", () => {
  test(
    "leaving endpoints count only while nothing is ready",
    async () => {
      await addService("leaving");
      const leaving = {
        addresses: ["10.1.0.12"],
        conditions: { ready: false, serving: true, terminating: true },
      };
      const ready = { addresses: ["10.1.0.11"], conditions: { ready: true } };
      await addSlice("leaving", { name: "leaving-1", endpoints: [ready, leaving] });
      await backendsBecome("leaving", ["10.1.0.11 8080"]);
      await patch(`${SLICES}/leaving-1`, { endpoints: [leaving] });
      // Apart from those that are ready: who has some in another cluster uses them first.
      await backendsBecome("leaving", []);
      await leavingBecome("leaving", ["10.1.0.12"]);
      const dead = { ...leaving, conditions: { ready: false, serving: false, terminating: true } };
      await patch(`${SLICES}/leaving-1`, { endpoints: [dead] });
      await leavingBecome("leaving", []);
    },
    LIMIT_MS,
  );

  test(
    "slices a port number, slices that an endpoint moves between, endpoints of no pod",
    async () => {
      await addService("manual", { spec: { selector: undefined } });
      const endpoint = (address: string): object => ({ addresses: [address] });
      await addSlice("manual", { name: "manual-1", endpoints: [endpoint("203.0.113.5")] });
      await addSlice("manual", {
        name: "manual-2",
        endpoints: [endpoint("10.1.0.21"), endpoint("10.1.0.22")],
        port: 9090,
      });
      await backendsBecome("manual", ["10.1.0.21 9090", "10.1.0.22 9090", "203.0.113.5 8080"]);
      await addSlice("manual", {
        name: "manual-3",
        endpoints: [endpoint("10.1.0.22")],
        port: 9090,
      });
      await patch(`${SLICES}/manual-2`, { endpoints: [endpoint("10.1.0.21")] });
      await backendsBecome("manual", ["10.1.0.21 9090", "10.1.0.22 9090", "203.0.113.5 8080"]);
    },
    LIMIT_MS,
  );

  test(
    "headless and dual-stack ones, with slices of both families",
    async () => {
      await addService("headless", { spec: { clusterIP: "None" } });
      await addSlice("headless", { name: "headless-1", endpoints: [{ addresses: ["10.1.0.31"] }] });
      await backendsBecome("headless", ["10.1.0.31 8080"]);
      expect(await frontendsOf("headless")).toEqual([]);

      await addService("dual", { spec: { ipFamilyPolicy: "RequireDualStack" } });
      await addSlice("dual", { name: "dual-4", endpoints: [{ addresses: ["10.1.0.41"] }] });
      const six = [{ addresses: ["fd00:10:1::41"] }];
      await addSlice("dual", { name: "dual-6", endpoints: six, addressType: "IPv6" });
      await backendsBecome("dual", ["10.1.0.41 8080", "fd00:10:1::41 8080"]);
      const families = (await frontendsOf("dual")).map((ip) => (ip.includes(":") ? "6" : "4"));
      expect(families.sort()).toEqual(["4", "6"]);
    },
    LIMIT_MS,
  );

  test(
    "an ExternalName is named in status and told to its owner",
    async () => {
      const spec = { type: "ExternalName", externalName: "example.test" };
      await addService("alias", { spec });
      const [problem] = await eventually(async () => {
        const problems = (await east.status()).source?.problems ?? [];
        return problems.length > 0 && problems;
      }, WAIT);
      expect(problem).toMatchObject({ object: "Service shop/alias" });
      expect(problem?.message).toContain("ExternalName is an alias in DNS");
    },
    LIMIT_MS,
  );

  test(
    "only what is global and shared leaves the cluster",
    async () => {
      const annotations = { "clustermesh.cilium.io/global": "false" };
      await patch("/api/v1/namespaces/private", { metadata: { annotations } });
      await addService("mine", { annotations: {} });
      await addService("kept", { annotations: { ...GLOBAL, "service.cilium.io/shared": "false" } });
      await addService("secret", { namespace: "private" });
      await addService("last");
      await eventually(() => record(`${SERVICES_KEY}shop/last`), WAIT);
      const local = [...(await east.contents("tombolo/local/services/v1/")).keys()];
      for (const name of ["shop/mine", "shop/kept", "private/secret", "shop/last"]) {
        expect(local.filter((key) => key.endsWith(name))).toHaveLength(1);
      }
      const exported = [...(await east.contents(SERVICES_KEY)).keys()]
        .map((key) => key.slice(SERVICES_KEY.length))
        .filter((key) => !key.startsWith("tombolo"));
      expect(exported.sort()).toEqual([
        "shop/dual",
        "shop/headless",
        "shop/last",
        "shop/leaving",
        "shop/manual",
      ]);
    },
    LIMIT_MS,
  );
});

describe("pods of a real API server", () => {
  test(
    "have an identity by labels, namespace and account, and another when these change",
    async () => {
      await addPod("cart", { ip: "10.1.0.51", spec: { serviceAccountName: "robot" } });
      const first = await identityOf("10.1.0.51");
      const labels = await labelsOf(first);
      expect(labels).toContain("k8s:app=cart;");
      expect(labels).toContain("namespace.labels.team=shop;");
      expect(labels).toContain("policy.serviceaccount=robot;");

      await patch(`${PODS}/cart`, { metadata: { labels: { app: "basket" } } });
      const second = await eventually(async () => {
        const now = await identityOf("10.1.0.51");
        return now !== first && now;
      }, WAIT);
      expect(await labelsOf(second)).toContain("k8s:app=basket;");
      await patch("/api/v1/namespaces/shop", { metadata: { labels: { team: "sales" } } });
      const third = await eventually(async () => {
        const now = await identityOf("10.1.0.51");
        return now !== second && now;
      }, WAIT);
      expect(await labelsOf(third)).toContain("namespace.labels.team=sales;");
      // Caches everywhere may still know the first number: it keeps its meaning for a while.
      expect(await labelsOf(first)).toContain("k8s:app=cart;");
    },
    LIMIT_MS,
  );

  test(
    "on the host's network, or finished, claim no address",
    async () => {
      await addPod("host", { ip: "192.168.1.1", spec: { hostNetwork: true } });
      await addPod("job", { ip: "10.1.0.61" });
      await identityOf("10.1.0.61");
      await setPodStatus("job", { phase: "Succeeded" });
      await eventually(async () => (await record(`${IP_KEY}10.1.0.61`)) === undefined, WAIT);
      // Its address is another pod's now.
      await addPod("next", { ip: "10.1.0.61" });
      expect(await labelsOf(await identityOf("10.1.0.61"))).toContain("k8s:app=next;");
      expect(await record(`${IP_KEY}192.168.1.1`)).toBeUndefined();
    },
    LIMIT_MS,
  );

  test(
    "follow the address of their node",
    async () => {
      const hostIp = async (): Promise<unknown> => (await record(`${IP_KEY}10.1.0.51`))?.["HostIP"];
      expect(await hostIp()).toBe("192.168.1.1");
      await setNodeAddress("192.168.1.9");
      await eventually(async () => (await hostIp()) === "192.168.1.9", WAIT);
      const node = await record("cilium/state/nodes/v1/east/n1");
      expect(node).toMatchObject({ IPv4AllocCIDR: expect.anything() });
    },
    LIMIT_MS,
  );
});
