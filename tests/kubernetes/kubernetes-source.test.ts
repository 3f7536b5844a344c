// The Kubernetes source against a real API server: what it reads, what it says, and that nothing
// that ends a connection, a server or a version makes its tables differ from a fresh list.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFile } from "node:fs/promises";
import { createEventRecorder } from "../../apiserver/source/kubernetes/event-recorder.ts";
import {
  createKubernetesSource,
  type KubernetesSource,
} from "../../apiserver/source/kubernetes/kubernetes-source.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { createSource, SOURCE_KINDS, type WritableSource } from "../../apiserver/source/objects.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { startTcpProxy, type TcpProxy } from "../fakes/proxy.ts";
import { createChurn } from "./churn.ts";

/** Starting the API server thrice on a busy machine. */
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

interface Follower {
  readonly tables: WritableSource;
  readonly source: KubernetesSource;
}

function follow(kubeconfig: string): Follower {
  const tables = createSource();
  const seams = { clock: systemClock, random: Math.random, log: silentLogger };
  const transport = createKubernetesTransport({ kubeconfig }, seams);
  const events = createEventRecorder({ ...seams, transport });
  const source = createKubernetesSource({ ...seams, transport, events, source: tables });
  const abort = new AbortController();
  const running = source.run(abort.signal);
  stops.push(async () => {
    abort.abort();
    await running;
  });
  return { tables, source };
}

const synced = (tables: WritableSource): boolean =>
  SOURCE_KINDS.every((kind) => tables[kind].synced);

/** Everything in the tables, comparable. */
function contents(tables: WritableSource): Record<string, unknown> {
  return Object.fromEntries(
    SOURCE_KINDS.map((kind) => [kind, Object.fromEntries(tables[kind].entries())]),
  );
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
      const { tables, source } = follow(path);
      await eventually(() => synced(tables), { what: "every kind is synced" });
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
      const { tables, source } = follow(path);
      await eventually(() => synced(tables));
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

  test(
    "goes on with the new token after the old one was taken back",
    async () => {
      const { path, tokenFile } = await kubernetes.writeKubeconfig({ token: "token-one" });
      await kubernetes.kill();
      await kubernetes.restart({ tokens: ["token-one"] });
      const { tables, source } = follow(path);
      await eventually(() => synced(tables), { limitMs: 60_000 });

      await kubernetes.kill();
      await kubernetes.restart({ tokens: ["token-two"] });
      await eventually(
        () => source.status().problems.some(({ message }) => message.includes("401")),
        { what: "the old token is refused", limitMs: 90_000 },
      );
      await writeFile(tokenFile, "token-two");
      await eventually(() => source.status().problems.length === 0, {
        what: "every kind is followed again",
        limitMs: 120_000,
      });
    },
    LIMIT_MS,
  );

  test(
    "holds what a fresh list holds after churn, cut connections, compactions and a killed server",
    async () => {
      const proxy: TcpProxy = await startTcpProxy({ targetPort: kubernetes.port });
      stops.push(() => proxy.close());
      const { path } = await kubernetes.writeKubeconfig({ port: proxy.port });
      const { tables } = follow(path);
      const churn = createChurn(kubernetes, { seed: 20_261 });
      await churn.fill();
      await eventually(() => synced(tables), { limitMs: 120_000 });
      for (const trouble of ["cut", "compact", "restart"] as const) {
        await churn.change();
        if (trouble === "cut") {
          await proxy.refuse();
          await churn.change();
          await proxy.pass();
        } else if (trouble === "compact") {
          // Changes that nobody saw are compacted away: the watch must begin with a list again.
          await proxy.refuse();
          await churn.change();
          await kubernetes.etcd.compact();
          await proxy.pass();
        } else {
          await kubernetes.kill();
          await kubernetes.etcd.compact();
          await kubernetes.restart();
        }
      }
      await churn.change();

      const direct = await kubernetes.writeKubeconfig();
      const fresh = follow(direct.path);
      await eventually(() => synced(fresh.tables), { limitMs: 120_000 });
      const counts = SOURCE_KINDS.map((kind) => fresh.tables[kind].size);
      expect(Math.min(...counts)).toBeGreaterThan(0);
      await eventually(
        () => {
          expect(contents(tables)).toEqual(contents(fresh.tables));
          return true;
        },
        { what: "the tables hold what a fresh list holds", limitMs: 120_000, pollMs: 500 },
      );
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
