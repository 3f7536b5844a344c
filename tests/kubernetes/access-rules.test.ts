// The rules of the two service accounts are enough, and none is too many: with all of them the API
// server refuses the programs nothing; without any one of them it refuses what that one is for, and
// a person is told. An apiserver process and an agent's way to etcd run through all of it, with the
// accounts' own tokens.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { manifestPath } from "../../mesh/install/manifest.ts";
import { renderObjects } from "../../mesh/install/render.ts";
import { parseSettings } from "../../mesh/install/settings.ts";
import { eventually } from "../fakes/eventually.ts";
import { createTestApiserver, type TestApiserver } from "../fakes/apiserver.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { startTcpProxy, type TcpProxy } from "../fakes/proxy.ts";
import { createAudit, type Audit, type AuditedRequest } from "./audit.ts";
import { installCiliumPolicies, POLICY_KINDS, removeDefinition } from "./cilium-definitions.ts";
import { createOperator, type Operator } from "./operator.ts";
import {
  describeRight,
  isAllowed,
  isUse,
  rightsOf,
  rulesOf,
  rulesWithout,
  type Right,
} from "./rights.ts";
import { startWay, type Way } from "./way-to-etcd.ts";

const LIMIT_MS = 300_000;
const WAIT = { limitMs: 30_000 };
const settings = parseSettings({ "cluster-name": "east", "cluster-id": "1" }, "0.1.0");
const { namespace } = settings;
const CORE = `/api/v1/namespaces/${namespace}`;
const HOME = "/api/v1/namespaces/default";
const SLICES = `/apis/discovery.k8s.io/v1beta1/namespaces/${namespace}/endpointslices`;
const POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
const AGENT = "tombolo-agent";
const APISERVER = "tombolo-apiserver";

const objects = renderObjects(settings);
const rights = rightsOf(objects.filter(({ kind }) => kind === "Role" || kind === "ClusterRole"));
const shards = rights.filter(({ name }) => name?.startsWith("tombolo-identities-"));

let directory: string;
let touches = 0;
let kubernetes: TestKubernetes;
let audit: Audit;
let operator: Operator;
let [east, west] = [] as unknown as [TestApiserver, TestApiserver];
/** Between each account and the API server. */
const proxies = new Map<string, TcpProxy>();
const kubeconfigs = new Map<string, string>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-rules-"));
  audit = await createAudit(directory, namespace);
  kubernetes = await startTestKubernetes({ flags: audit.flags });
  const kinds = /^(Namespace|ServiceAccount|(Cluster)?Role(Binding)?)$/;
  for (const body of objects.filter(({ kind }) => kinds.test(kind))) {
    await post(manifestPath(body).replace(/\/[^/]+$/, ""), body);
  }
  for (const account of [APISERVER, AGENT]) {
    const proxy = await startTcpProxy({ targetPort: kubernetes.port });
    proxies.set(account, proxy);
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const path = `${CORE}/serviceaccounts/${account}/token`;
    const { status } = await post<{ status: { token: string } }>(path, body);
    const files = await kubernetes.writeKubeconfig({ port: proxy.port, token: status.token });
    kubeconfigs.set(account, files.path);
  }
  const place = { kubeconfig: kubeconfigs.get(APISERVER) ?? "", context: "test" };
  west = await createTestApiserver({ name: "west", id: 2 });
  west.start();
  east = await createTestApiserver({
    name: "east",
    id: 1,
    source: { kind: "kubernetes", ...place },
    objects: { ...place, namespace },
  });
  const { path: kubeconfig } = await kubernetes.writeKubeconfig();
  operator = createOperator({ east, west, kubeconfig, namespace });
  await addObjects();
}, LIMIT_MS);

afterAll(async () => {
  await east?.close();
  await west?.close();
  for (const proxy of proxies.values()) await proxy.close();
  await kubernetes?.close();
  await rm(directory, { recursive: true, force: true });
}, LIMIT_MS);

const call = <T>(method: "PATCH" | "DELETE" | "GET", path: string, body?: object): Promise<T> =>
  kubernetes.call<T>({ method, path, ...(body === undefined ? {} : { body }), allow: [404] });
const post = <T>(path: string, body: object): Promise<T> =>
  kubernetes.call<T>({ method: "POST", path, body });

/** What a cluster has, and what `mesh install` leaves there. */
async function addObjects(): Promise<void> {
  await post("/api/v1/nodes", { metadata: { name: "n1" }, spec: { podCIDR: "10.1.0.0/24" } });
  const ports = [{ port: 80 }];
  await post(`${HOME}/services`, { metadata: { name: "web" }, spec: { ports } });
  await post(SLICES, {
    metadata: { name: "own", labels: { "kubernetes.io/service-name": APISERVER } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.1"] }],
    ports: [],
  });
  await installCiliumPolicies(kubernetes);
  await post(POLICIES, { metadata: { name: "web" }, spec: { podSelector: {} } });
  await operator.writeProfile();
}

async function addPod(name: string, address: string): Promise<void> {
  const spec = { nodeName: "n1", containers: [{ name: "c", image: "c" }] };
  await post(`${HOME}/pods`, { metadata: { name, labels: { app: name } }, spec });
  const status = { phase: "Running", podIP: address, podIPs: [{ ip: address }] };
  await call("PATCH", `${HOME}/pods/${name}/status`, { status });
}

const annotate = (value: string): Promise<unknown> =>
  call("PATCH", `${HOME}/services/web`, {
    metadata: { annotations: { "service.cilium.io/global": value } },
  });

/** A watch that has heard something comes back at once when it is cut off. */
async function touchAll(): Promise<void> {
  const body = { metadata: { annotations: { touched: String(++touches) } } };
  for (const path of [
    "/api/v1/namespaces/default",
    "/api/v1/nodes/n1",
    `${HOME}/pods/cart`,
    `${HOME}/services/web`,
    `${SLICES}/own`,
    `${POLICIES}/web`,
    `${CORE}/secrets/${AGENT}`,
    `${CORE}/configmaps/tombolo-cluster`,
  ]) {
    await call("PATCH", path, body);
  }
}

/** Without what the tests have done to the objects. */
async function restore(): Promise<void> {
  await annotate("true");
  await operator.forget();
}

const agentWay = (): Promise<Way> =>
  startWay({ kubeconfig: kubeconfigs.get(AGENT) ?? "", namespace, directory });

const has = async (path: string): Promise<boolean> =>
  (await call<{ kind: string }>("GET", path)).kind !== "Status";

async function isPeer(): Promise<boolean> {
  return (await east.status()).peers.some(({ name }) => name === "west");
}

async function refusals(): Promise<AuditedRequest[]> {
  return (await audit.next()).filter(({ status }) => status === 403);
}

/** Status and log of the apiserver since `from`, as a person reads them. */
async function told(from: number): Promise<string> {
  const { source, reasons } = await east.status();
  const problems = (source?.problems ?? []).map(({ message }) => message);
  return [...problems, ...reasons, (await east.log()).slice(from)].join("\n");
}

const isWell = async (): Promise<boolean> => (await east.status()).source?.problems.length === 0;

/** With these rules, as soon as the API server goes by them. */
async function setRules(removed: readonly Right[], { allowed }: { allowed: boolean }) {
  const [first] = removed;
  if (first === undefined) return;
  const { role } = first;
  const rules = allowed ? rulesOf(role) : rulesWithout(removed);
  await call("PATCH", manifestPath(role), { rules });
  for (const right of [first, ...removed.slice(-1)]) {
    await eventually(async () => (await isAllowed(right, { namespace, post })) === allowed, WAIT);
  }
}

/** What makes the programs use a right, and what a person then reads. */
interface Use {
  readonly provoke: () => Promise<unknown>;
  readonly says: RegExp;
}

const cutOff = (account: string) => async () => proxies.get(account)?.cut();
const followed = (what: string) =>
  Object.fromEntries(
    ["list", "watch"].map((verb): [string, Use] => [
      verb,
      { provoke: cutOff(APISERVER), says: new RegExp(`Cannot follow ${what}: .*cannot ${verb} `) },
    ]),
  );
const sweep = (from: string) => new RegExp(`join sweep failed.*cannot ${from} resource`);
const removeShard = (): Promise<unknown> =>
  call("DELETE", `${CORE}/configmaps/tombolo-identities-0`);
/** Of somebody who does not come to be connected; resolves with what the joiner was told. */
const joinInVain = (): Promise<string> => operator.joinInVain();
const POLICY_USES = Object.fromEntries(
  POLICY_KINDS.map(({ kind, resource }) => [resource, followed(`objects of kind ${kind}`)]),
);
const DEFINITION_USES = Object.fromEntries(
  POLICY_KINDS.map(({ kind, resource }): [string, Use] => [
    `get ${resource}`,
    {
      provoke: () => removeDefinition(kubernetes, resource),
      says: new RegExp(`Cannot follow objects of kind ${kind}: .*cannot get resource`),
    },
  ]),
);
const USES: Readonly<Record<string, Readonly<Record<string, Use>>>> = {
  namespaces: followed("objects of kind Namespace"),
  nodes: followed("(objects of kind Node|Nodes)"),
  pods: followed("objects of kind Pod"),
  services: followed("objects of kind Service"),
  "endpointslices.discovery.k8s.io": followed("objects of kind EndpointSlice"),
  ...POLICY_USES,
  "customresourcedefinitions.apiextensions.k8s.io": DEFINITION_USES,
  events: {
    create: {
      provoke: () => annotate("never"),
      says: /Event cannot be written.*cannot create resource/,
    },
  },
  secrets: {
    ...followed("Secrets"),
    get: { provoke: async () => {}, says: sweep("get") },
    create: {
      provoke: () => call("DELETE", `${CORE}/secrets/${AGENT}`),
      says: /^Cannot create .*cannot create resource/m,
    },
    update: {
      provoke: () => call("PATCH", `${CORE}/secrets/${AGENT}`, { data: { "local.crt": "YQ==" } }),
      says: /^Cannot replace .*cannot update resource/m,
    },
    delete: { provoke: () => operator.leaveHalfJoined(), says: sweep("delete") },
  },
  configmaps: {
    ...followed("ConfigMaps"),
    get: { provoke: removeShard, says: /Cannot keep identities: .*cannot get resource/ },
    create: { provoke: removeShard, says: /Cannot keep identities: .*cannot create resource/ },
    "update tombolo-readers": { provoke: () => operator.leaveHalfJoined(), says: sweep("update") },
    "delete tombolo-readers": { provoke: joinInVain, says: /"east" could not be told/ },
  },
  "leases.coordination.k8s.io": {
    create: { provoke: joinInVain, says: /cannot create resource "leases"/ },
    "get tombolo-connect": { provoke: joinInVain, says: /cannot get resource "leases"/ },
    "update tombolo-connect": {
      provoke: joinInVain,
      says: /lease could not be given back.*cannot update resource/,
    },
  },
};

function useOf({ verb, resource, name }: Right): Use {
  const uses = USES[resource] ?? {};
  const use = uses[name === undefined ? verb : `${verb} ${name}`];
  if (use === undefined) throw new Error(`Nothing is known that needs to ${verb} ${resource}`);
  return use;
}

const requestOf = ({ account, verb, resource }: Right) => ({ account, verb, resource });

describe("the rules of the service accounts", () => {
  test(
    "are enough for everything that the programs do",
    async () => {
      const way = await agentWay();
      east.start();
      await east.ready();
      await west.ready();
      await way.access.known(AbortSignal.timeout(WAIT.limitMs));

      await addPod("cart", "10.1.0.7");
      await eventually(() => has(`${CORE}/configmaps/tombolo-identities-0`), WAIT);
      await addPod("bank", "10.1.0.8");
      await annotate("perhaps");
      await eventually(async () => {
        const { items } = await call<{ items: object[] }>("GET", `${HOME}/events`);
        return items.length > 0;
      }, WAIT);
      await call("PATCH", `${CORE}/secrets/${AGENT}`, { data: { "local.crt": "YQ==" } });

      await operator.applyPeer();
      await eventually(isPeer, WAIT);
      await operator.removePeer();
      await eventually(async () => !(await isPeer()), WAIT);

      const said = await operator.joinInVain();
      expect(said).toContain("Cannot verify the connection");
      for (const gone of ["secrets/tombolo-peer-west", "configmaps/tombolo-readers"]) {
        expect(await has(`${CORE}/${gone}`)).toBe(false);
      }
      await operator.inviteWest();
      expect(await isPeer()).toBe(true);
      await operator.disconnect();
      await operator.joinWest();
      expect(await isPeer()).toBe(true);
      await operator.leaveHalfJoined();
      await eventually(async () => !(await isPeer()), WAIT);

      await east.kill("SIGKILL");
      process.kill(await east.etcdPid(), "SIGKILL");
      const paths = clusterPaths(east.directory);
      for (const path of [paths.profile, paths.pki, paths.remoteUsers, paths.etcdData, paths.run]) {
        await rm(path, { recursive: true, force: true });
      }
      east.start();
      await east.ready();
      await way.stop();
      await restore();

      const requests = await audit.next();
      expect(requests.filter(({ status }) => status === 403)).toEqual([]);
      const unused = rights.filter(
        (right) => !shards.includes(right) && !requests.some((request) => isUse(request, right)),
      );
      expect(unused.map(describeRight)).toEqual([]);
    },
    LIMIT_MS,
  );

  for (const right of rights.filter(({ account }) => account === AGENT)) {
    test(
      `of the agent have none too many: ${describeRight(right)}`,
      async () => {
        await audit.next();
        await setRules([right], { allowed: false });
        const way = await agentWay();
        const says = `cannot ${right.verb} resource`;
        await eventually(() => way.told().includes(says), WAIT);
        expect(await refusals()).toContainEqual(expect.objectContaining(requestOf(right)));
        await setRules([right], { allowed: true });
        await way.access.known(AbortSignal.timeout(WAIT.limitMs));
        await way.stop();
      },
      LIMIT_MS,
    );
  }

  for (const right of rights.filter((one) => one.account === APISERVER && !shards.includes(one))) {
    test(
      `of the apiserver have none too many: ${describeRight(right)}`,
      async () => {
        const { provoke, says } = useOf(right);
        await eventually(isWell, WAIT);
        await touchAll();
        await audit.next();
        const from = (await east.log()).length;
        await setRules([right], { allowed: false });
        const answer = await provoke();
        await eventually(async () => says.test(`${await told(from)}\n${String(answer)}`), WAIT);
        const refused = (await refusals()).map(({ account, verb, resource }) => ({
          account,
          verb,
          resource,
        }));
        expect(new Set(refused.map((one) => JSON.stringify(one)))).toEqual(
          new Set([JSON.stringify(requestOf(right))]),
        );
        await setRules([right], { allowed: true });
        await restore();
      },
      LIMIT_MS,
    );
  }

  test(
    `of the apiserver have no name too many: update configmaps, ${shards.length} names`,
    async () => {
      await eventually(isWell, WAIT);
      await audit.next();
      await setRules(shards, { allowed: false });
      const names = shards.map(({ name = "" }) => name);
      for (const name of names) {
        const body = { metadata: { name }, data: { stray: "text" } };
        const path = `${CORE}/configmaps`;
        await kubernetes.call({ method: "POST", path, body, allow: [409] });
        await call("PATCH", `${path}/${name}`, body);
      }
      const refused = new Set<string>();
      await eventually(async () => {
        for (const { verb, name } of await refusals()) if (verb === "update") refused.add(name);
        return refused.size >= names.length;
      }, WAIT);
      expect([...refused].sort()).toEqual([...names].sort());
      expect(await told(0)).toMatch(/Cannot keep identities: .*cannot update resource/);
      await setRules(shards, { allowed: true });
      await eventually(isWell, WAIT);
      expect(await refusals()).toEqual([]);
    },
    LIMIT_MS,
  );
});
