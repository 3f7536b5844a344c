// The Kubernetes source against a real API server: what it reads and what it says. That nothing
// makes its tables differ from a fresh list is torture.test.ts's.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { follow as followAccess, type Follower } from "./follower.ts";

const LIMIT_MS = 300_000;

let kubernetes: TestKubernetes;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
}, LIMIT_MS);
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(() => kubernetes.close());

function follow(kubeconfig: string): Follower {
  const follower = followAccess({ kubeconfig });
  stops.push(() => follower.stop());
  return follower;
}

function service(name: string, fields: { annotations?: object; spec?: object } = {}): object {
  return {
    metadata: { name, namespace: "default", annotations: fields.annotations },
    spec: { selector: { app: name }, ports: [{ name: "http", port: 80 }], ...fields.spec },
  };
}

const post = (path: string, body: object): Promise<unknown> =>
  kubernetes.call({ method: "POST", path, body });

describe("createKubernetesSource()", () => {
  test(
    "reads what is there and follows what changes",
    async () => {
      const { path } = await kubernetes.writeKubeconfig();
      const { tables, source, synced } = follow(path);
      await eventually(() => synced(), { what: "every kind is synced" });
      expect(tables.Namespace.get("default")).toMatchObject({ global: true });
      expect(tables.Service.get("default/kubernetes")?.clusterIps).toEqual(["10.96.0.1"]);

      await post("/api/v1/namespaces/default/services", service("web"));
      await eventually(() => tables.Service.get("default/web")?.clusterIps[0]);
      await post("/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices", {
        metadata: {
          name: "web-1",
          namespace: "default",
          labels: { "kubernetes.io/service-name": "web" },
        },
        addressType: "IPv4",
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
        endpoints: [{ addresses: ["10.1.0.7"], conditions: { ready: true } }],
      });
      const slice = await eventually(() => tables.EndpointSlice.get("default/web-1"));
      expect(slice).toMatchObject({ serviceName: "web", endpoints: [{ addresses: ["10.1.0.7"] }] });

      const services = "/api/v1/namespaces/default/services";
      await kubernetes.call({ method: "DELETE", path: `${services}/web` });
      await eventually(() => tables.Service.get("default/web") === undefined);
      expect(source.status().problems).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "tells the owner of a Service once what is wrong with it, as an Event and in status",
    async () => {
      const { path } = await kubernetes.writeKubeconfig();
      const { tables, source, synced } = follow(path);
      await eventually(() => synced());
      const annotations = { "service.cilium.io/global": "yes please" };
      await post("/api/v1/namespaces/default/services", service("odd", { annotations }));
      const told = await eventually(() => eventsAbout("odd"), { what: "an Event is written" });
      expect(told).toHaveLength(1);
      expect(told[0]).toMatchObject({ type: "Warning", reason: "InvalidSetting" });
      expect(told[0]?.message).toContain('Cannot use "yes please" as service.cilium.io/global');
      expect(source.status().problems).toMatchObject([
        { severity: "warning", object: "Service default/odd" },
      ]);
      expect(tables.Service.get("default/odd")?.settings.global).toBe(false);

      // Another apiserver, or the same one restarted, has nothing new to say.
      const second = follow(path);
      await eventually(() => second.source.status().problems.length === 1);
      const services = "/api/v1/namespaces/default/services";
      await kubernetes.call({ method: "DELETE", path: `${services}/odd` });
      await eventually(() => source.status().problems.length === 0);
      await eventually(() => second.source.status().problems.length === 0);
      expect(await eventsAbout("odd")).toHaveLength(1);
    },
    LIMIT_MS,
  );
});

interface ApiEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

/** Undefined while there is none. */
async function eventsAbout(name: string): Promise<ApiEvent[] | undefined> {
  const selector = encodeURIComponent(`involvedObject.kind=Service,involvedObject.name=${name}`);
  const { items } = await kubernetes.call<{ items: ApiEvent[] }>({
    path: `/api/v1/namespaces/default/events?fieldSelector=${selector}`,
  });
  return items.length > 0 ? items : undefined;
}
