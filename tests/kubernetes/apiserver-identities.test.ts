// Numbers of identities outlive an apiserver whose directory and etcd are gone: a real apiserver
// process keeps them in objects of a real Kubernetes API, whatever people do to those.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { createTestApiserver, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";

const run = promisify(execFile);
const LIMIT_MS = 300_000;
const WAIT = { limitMs: 90_000 };
const NAMESPACE = "mesh";
const CORE = `/api/v1/namespaces/${NAMESPACE}`;

let kubernetes: TestKubernetes;
let east: TestApiserver;

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
  const { path: kubeconfig } = await kubernetes.writeKubeconfig();
  await kubernetes.call({
    method: "POST",
    path: "/api/v1/namespaces",
    body: { metadata: { name: NAMESPACE } },
  });
  east = await createTestApiserver({
    name: "east",
    id: 1,
    objects: { kubeconfig, context: "test", namespace: NAMESPACE },
  });
  await applyProfile();
  east.start();
  await east.ready();
}, LIMIT_MS);

afterAll(async () => {
  await east?.close();
  await kubernetes?.close();
}, LIMIT_MS);

/** As an operator would; the test's API server shows a certificate that nobody has signed. */
async function kubectl(...parameters: string[]): Promise<string> {
  const flags = [
    `--server=https://127.0.0.1:${kubernetes.port}`,
    "--insecure-skip-tls-verify",
    "--token=test-admin",
    `--namespace=${NAMESPACE}`,
    `--cache-dir=${join(east.directory, "kubectl")}`,
  ];
  const environment = { env: { PATH: process.env["PATH"], KUBECONFIG: "/dev/null" } };
  return (await run("kubectl", [...flags, ...parameters], environment)).stdout;
}

async function apply(object: object): Promise<void> {
  const file = join(east.directory, "applied.json");
  await writeFile(file, JSON.stringify(object));
  await kubectl("apply", "--filename", file);
}

async function applyProfile(): Promise<void> {
  const { etcdEndpoint, joinEndpoint } = east;
  const profile = { name: "east", id: 1, etcdEndpoints: [etcdEndpoint], joinEndpoint };
  await apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "tombolo-cluster" },
    data: { "cluster.json": JSON.stringify(profile) },
  });
}

const problems = async (): Promise<string[]> =>
  ((await east.status()).source?.problems ?? []).map(
    ({ object, message }) => `${object}: ${message}`,
  );

/** Numbers by the value of the label "app", as the cluster's etcd has them. */
async function identities(): Promise<Map<string, string>> {
  const prefix = "cilium/state/identities/v1/id/";
  const found = new Map<string, string>();
  for (const [key, value] of await east.contents(prefix)) {
    const app = /k8s:app=([^;]*);/.exec(value)?.[1];
    if (app !== undefined) found.set(app, key.slice(prefix.length));
  }
  return found;
}

/** One pod for each value of the label "app". */
async function runApps(names: readonly string[]): Promise<void> {
  const pods = names.map(
    (name, at) => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name}}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIPs: [{ip: 10.1.0.${at + 10}}]}
`,
  );
  await east.manifest(
    "apps.yaml",
    `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDRs: [10.1.0.0/24]}
status: {addresses: [{type: InternalIP, address: 192.168.1.1}]}
${pods.join("")}`,
  );
}

interface ShardObject {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

const shard = (index: number): Promise<ShardObject> =>
  kubernetes.call<ShardObject>({ path: `${CORE}/configmaps/tombolo-identities-${index}` });

/** What a new pod finds: nothing. */
async function emptyDirectory(): Promise<void> {
  await east.kill("SIGKILL");
  const pid = await east.etcdPid();
  process.kill(pid, "SIGKILL");
  const paths = clusterPaths(east.directory);
  const all = [paths.profile, paths.pki, paths.peers, paths.remoteUsers, paths.etcdData, paths.run];
  for (const path of all) await rm(path, { recursive: true, force: true });
}

describe("apiserver with identities in objects", () => {
  test(
    "gives every label set its number again when directory and etcd are gone, and new ones others",
    async () => {
      await runApps(["cart", "web", "mail"]);
      const before = await eventually(async () => {
        const found = await identities();
        return found.size === 3 && found;
      }, WAIT);
      await eventually(async () => {
        const { metadata, data = {} } = await shard(0);
        expect(metadata.labels).toEqual({ "tombolo.io/identities": "east" });
        return [...before.values()].every((number) => number in data);
      }, WAIT);
      await emptyDirectory();
      // In another order, so that counting anew would give other numbers.
      await runApps(["bank", "mail", "web", "cart"]);
      east.start();
      await east.ready();
      const after = await eventually(async () => {
        const found = await identities();
        return found.size === 4 && found;
      }, WAIT);
      for (const [app, number] of before) expect([app, after.get(app)]).toEqual([app, number]);
      expect([...before.values()]).not.toContain(after.get("bank"));
    },
    LIMIT_MS,
  );

  test(
    "puts right what somebody does to the identities, names it at the next start, and uses the rest",
    async () => {
      const before = await identities();
      const web = before.get("web") ?? "";
      await kubectl("delete", "configmap", "tombolo-identities-0");
      await eventually(async () => web in ((await shard(0)).data ?? {}), WAIT);
      const bank = Number(before.get("bank"));
      const bankShard = (bank - 65_536) >> 10;
      await eventually(async () => String(bank) in ((await shard(bankShard)).data ?? {}), WAIT);

      await emptyDirectory();
      const spoilt = { [web]: "{oops", "131072": "k8s:app=x;" };
      const patch = JSON.stringify({ data: spoilt });
      await kubectl("patch", "configmap", "tombolo-identities-0", "-p", patch);
      east.start();
      await east.ready();
      const after = await eventually(async () => {
        const found = await identities();
        return found.size === 4 && found;
      }, WAIT);
      for (const app of ["cart", "mail", "bank"]) expect(after.get(app)).toBe(before.get(app));
      expect([...before.values()]).not.toContain(after.get("web"));
      await eventually(async () => {
        const said = (await problems()).join();
        return (
          said.includes("ConfigMap mesh/tombolo-identities-0") &&
          said.includes(`Cannot use "${web}"`) &&
          said.includes('Cannot use "131072"')
        );
      }, WAIT);
      await eventually(async () => {
        const { data = {} } = await shard(0);
        return !("131072" in data) && !(web in data) && `retired-${web}` in data;
      }, WAIT);
    },
    LIMIT_MS,
  );

  test(
    "refuses to run under another name in an empty directory",
    async () => {
      const { etcdEndpoint, joinEndpoint } = east;
      await emptyDirectory();
      const profile = { name: "north", id: 1, etcdEndpoints: [etcdEndpoint], joinEndpoint };
      const data = { "cluster.json": JSON.stringify(profile) };
      await kubectl("patch", "configmap", "tombolo-cluster", "-p", JSON.stringify({ data }));
      const { status, said } = await east.runSecond();
      expect(status).toBe(1);
      expect(said).toContain(
        'Cannot run cluster "north": the certificate in Secret "tombolo-ca" is that of cluster "east"',
      );
    },
    LIMIT_MS,
  );
});
