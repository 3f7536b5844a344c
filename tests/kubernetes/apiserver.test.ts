// A whole apiserver process on a real Kubernetes API: what is declared there stands in its etcd,
// what keeps to itself does not, and neither end's restart deletes anything.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createTestApiserver, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";

const LIMIT_MS = 300_000;
const WAIT = { limitMs: 90_000 };
const WEB = "cilium/state/services/v1/east/shop/web";

let kubernetes: TestKubernetes;
let east: TestApiserver;

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
  const { path } = await kubernetes.writeKubeconfig();
  const source = { kind: "kubernetes", kubeconfig: path, context: "test" };
  east = await createTestApiserver({ name: "east", id: 1, source });
  east.start();
}, LIMIT_MS);

afterAll(async () => {
  await east?.close();
  await kubernetes?.close();
}, LIMIT_MS);

const post = (path: string, body: object): Promise<unknown> =>
  kubernetes.call({ method: "POST", path, body });

async function backends(): Promise<string[] | undefined> {
  const record = (await east.contents(WEB)).get(WEB);
  if (record === undefined) return undefined;
  return Object.keys((JSON.parse(record) as { backends: object }).backends);
}

async function setNamespaceGlobal(value: string): Promise<void> {
  const body = { metadata: { annotations: { "clustermesh.cilium.io/global": value } } };
  await kubernetes.call({ method: "PATCH", path: "/api/v1/namespaces/shop", body });
}

describe("apiserver", () => {
  test(
    "exports what a real Kubernetes API declares global",
    async () => {
      await post("/api/v1/namespaces", { metadata: { name: "shop" } });
      await post("/api/v1/namespaces/shop/services", {
        metadata: { name: "web", annotations: { "service.cilium.io/global": "true" } },
        spec: { ports: [{ name: "http", port: 80 }] },
      });
      await post("/apis/discovery.k8s.io/v1beta1/namespaces/shop/endpointslices", {
        metadata: { name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
        addressType: "IPv4",
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
        endpoints: [{ addresses: ["10.1.0.7"] }],
      });
      await east.ready();
      expect(await eventually(backends, WAIT)).toEqual(["10.1.0.7"]);
      const { source } = await east.status();
      expect(source).toMatchObject({
        directory: `https://127.0.0.1:${kubernetes.port}`,
        synced: true,
        problems: [],
      });
    },
    LIMIT_MS,
  );

  test(
    "keeps what it has exported while the API server is away, over a restart of its own too",
    async () => {
      await kubernetes.kill();
      await east.kill("SIGKILL");
      east.start();
      const [problem] = await eventually(async () => {
        const problems = (await east.status()).source?.problems ?? [];
        return problems.length > 0 && problems;
      }, WAIT);
      expect(problem?.message).toContain("Cannot follow objects of kind");
      expect(await backends()).toEqual(["10.1.0.7"]);
      expect((await east.status()).reasons).toContain(
        "the objects of Kubernetes have not been read",
      );
      await kubernetes.restart();
      await east.ready();
      expect(await backends()).toEqual(["10.1.0.7"]);
    },
    LIMIT_MS,
  );

  test(
    "takes back what is in a namespace that is not global any more",
    async () => {
      await setNamespaceGlobal("false");
      await eventually(async () => (await backends()) === undefined, WAIT);
      await setNamespaceGlobal("true");
      expect(await eventually(backends, WAIT)).toEqual(["10.1.0.7"]);
    },
    LIMIT_MS,
  );
});
