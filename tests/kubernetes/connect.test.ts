// Connecting clusters through their Kubernetes APIs, as an operator does: real API server, real
// apiservers that follow the objects, and `mesh` run inside their pods for what only they know.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "../../mesh/commands/command.ts";
import { connectCommand } from "../../mesh/commands/connect.ts";
import { disconnectCommand } from "../../mesh/commands/disconnect.ts";
import { inNodePod } from "../../mesh/commands/in-node-pod.ts";
import { inviteCommand } from "../../mesh/commands/invite.ts";
import { joinCommand } from "../../mesh/commands/join.ts";
import { statusCommand } from "../../mesh/commands/status.ts";
import { connectClusters } from "../../mesh/connect/connect.ts";
import { openContext } from "../../mesh/connect/context-access.ts";
import type { Secret } from "../../mesh/connect/kubernetes-objects.ts";
import { configMapFromSettings } from "../../mesh/connect/kubernetes-profile.ts";
import { readContext, writeContext } from "../../mesh/contexts/contexts.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createTestApiserver, type TestApiserver } from "../fakes/apiserver.ts";
import { createTestContext } from "../fakes/command-context.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  startTestKubelet,
  type KubeletAnswer,
  type KubeletCall,
  type TestKubelet,
} from "../fakes/kubelet.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";

const LIMIT_MS = 300_000;
const never = new AbortController().signal;
const MAIN = fileURLToPath(new URL("../../mesh/main.ts", import.meta.url));
const quiet = {
  onFindings: () => {},
  onPlan: () => {},
  onStep: () => {},
  onProgress: () => {},
  onRollback: () => {},
};

/** Makes NAME.inside this machine, for programs that run inside a cluster. */
const INSIDE = `data:text/javascript,
import dns from "node:dns";
const { lookup } = dns;
const { lookup: promised } = dns.promises;
const inside = (name) => name.endsWith(".inside") ? "127.0.0.1" : name;
dns.lookup = (name, ...rest) => lookup(inside(name), ...rest);
dns.promises.lookup = (name, ...rest) => promised(inside(name), ...rest);
`;
/** Namespaces where such names mean something. */
const insiders = new Set<string>();

let kubernetes: TestKubernetes;
let kubelet: TestKubelet;
/** The operator's. */
let home = "";
let [east, west, north] = [] as unknown as [TestApiserver, TestApiserver, TestApiserver];
const apiservers: TestApiserver[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-connect-home-"));
  kubernetes = await startTestKubernetes();
  kubelet = await startTestKubelet(kubernetes, { node: "n1", run: runInPod });
  const { path: kubeconfig } = await kubernetes.writeKubeconfig();
  for (const [index, name] of ["east", "west"].entries()) {
    await addNamespace(name);
    const objects = { kubeconfig, context: "test", namespace: name };
    apiservers.push(await createTestApiserver({ name, id: index + 1, objects }));
    const place = { kubeconfig, kubeContext: "test", namespace: name };
    await writeContext(home, { name, ...place, networkNamespace: undefined });
  }
  apiservers.push(await createTestApiserver({ name: "north", id: 3 }));
  [east, west, north] = apiservers as [TestApiserver, TestApiserver, TestApiserver];
  const { directory } = north;
  await writeContext(home, { name: "north", directory, networkNamespace: undefined });
  for (const apiserver of [east, west]) await installCluster(apiserver);
  for (const apiserver of apiservers) apiserver.start();
  for (const apiserver of apiservers) await apiserver.ready();
}, LIMIT_MS);

afterAll(async () => {
  for (const apiserver of apiservers) await apiserver.close();
  await kubelet?.close();
  await kubernetes?.close();
  await rm(home, { recursive: true, force: true });
}, LIMIT_MS);

async function addNamespace(name: string): Promise<void> {
  const body = { metadata: { name } };
  await kubernetes.call({ method: "POST", path: "/api/v1/namespaces", body });
}

/** What `mesh install` leaves: the profile, and a pod of the apiserver; the pod is the process. */
async function installCluster(apiserver: TestApiserver): Promise<void> {
  const { name, directory, etcdEndpoint, joinEndpoint } = apiserver;
  const id = name === "east" ? 1 : 2;
  const settings = { name, id, maxConnectedClusters: 255, etcdEndpoints: [etcdEndpoint] } as const;
  const path = `/api/v1/namespaces/${name}/configmaps`;
  const body = configMapFromSettings({ ...settings, joinEndpoint }, name);
  await kubernetes.call({ method: "POST", path, body });
  const labels = { "app.kubernetes.io/name": "tombolo-apiserver" };
  await kubelet.addPod({ namespace: name, name: "apiserver-0", labels });
  // As the apiserver does in its container.
  const inside = { name, directory, networkNamespace: undefined };
  await writeContext(join(directory, "home"), inside);
}

/** Runs the very command line, with what the container has. */
async function runInPod({ namespace, argv }: KubeletCall): Promise<KubeletAnswer> {
  const apiserver = apiservers.find(({ name }) => name === namespace);
  const names = insiders.has(namespace) ? ["--import", INSIDE.replaceAll("\n", " ")] : [];
  const child = spawn(process.execPath, [...names, MAIN, ...argv.slice(1)], {
    env: { ...process.env, TOMBOLO_HOME: join(apiserver?.directory ?? "", "home") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  return { status: status ?? 1, ...said };
}

async function mesh(command: Command, ...args: string[]) {
  const context = createTestContext(home);
  const status = await command.run(args, context);
  return { status, out: context.out(), err: context.err() };
}

/** Data, labels and annotations of all objects that connecting may write, in both namespaces. */
async function contents(): Promise<Record<string, object>> {
  const found: Record<string, object> = {};
  for (const path of ["east", "west"].flatMap((name) =>
    ["secrets", "configmaps"].map((kind) => `/api/v1/namespaces/${name}/${kind}`),
  )) {
    const { items } = await kubernetes.call<{ items: Secret[] }>({ path });
    for (const { metadata, data, type } of items) {
      if (/^tombolo-(agent|invites)$/.test(metadata.name)) continue;
      const { labels = {}, annotations = {} } = metadata;
      found[`${path}/${metadata.name}`] = { labels, annotations, data, type };
    }
  }
  return found;
}

const peersOf = async (apiserver: TestApiserver): Promise<string[]> =>
  (await apiserver.status()).peers.map(({ name, state }) => `${name} ${state}`);

describe("clusters on Kubernetes", () => {
  test(
    "show their status by what runs in their pods",
    async () => {
      const { status, out } = await mesh(statusCommand, "--context", "east", "--output", "json");
      expect(JSON.parse(out)).toMatchObject([
        { context: "east", cluster: "east", id: 1, apiserver: { ready: true, peers: [] } },
      ]);
      expect(status).toBe(0);
      const all = await mesh(statusCommand);
      expect(all.out.split("\n").map((line) => line.split(" ", 1)[0])).toEqual([
        "CLUSTER",
        "east",
        "north",
        "west",
        "",
        "!",
        "",
      ]);
      expect(all.out).toContain(
        "! east, north, west: what was drilled is not known: no operations plane\n",
      );
    },
    LIMIT_MS,
  );

  test(
    "are left as they were by a dry run, and by a connection that does not come to work",
    async () => {
      const before = await contents();
      const dry = await mesh(connectCommand, "east", "west", "--dry-run");
      expect(dry.err).toContain("preflight: the clusters fit together");
      expect(dry.out).toContain('east: mirror "west" with a new client certificate');
      expect(await contents()).toEqual(before);

      const context = createTestContext(home);
      const open = async (name: string) => openContext(await readContext(home, name), context);
      const deaf = { ...(await open("west")).access, readPeers: () => Promise.resolve([]) };
      const connecting = connectClusters([(await open("east")).access, deaf], {
        dryRun: false,
        clock: systemClock,
        observer: quiet,
        signal: never,
        verifyLimitMs: 500,
      });
      await expect(connecting).rejects.toMatchObject({
        code: "deadline_exceeded",
        message: expect.stringContaining("west reads east: not noticed yet"),
      });
      expect(await contents()).toEqual(before);
    },
    LIMIT_MS,
  );

  test(
    "are connected by objects alone, and then there is nothing to change",
    async () => {
      const flags = ["--context", "east", "--destination-context", "west"];
      const { status, err } = await mesh(connectCommand, ...flags);
      expect(err).toContain("verify: west reads east: in sync");
      expect(status).toBe(0);
      const after = await contents();
      expect(Object.keys(after).filter((path) => /peer|readers/.test(path))).toEqual([
        "/api/v1/namespaces/east/secrets/tombolo-peer-west",
        "/api/v1/namespaces/east/configmaps/tombolo-readers",
        "/api/v1/namespaces/west/secrets/tombolo-peer-east",
        "/api/v1/namespaces/west/configmaps/tombolo-readers",
      ]);
      expect(await peersOf(east)).toEqual(["west ready"]);
      const again = await mesh(connectCommand, "east", "west");
      expect(again.err).toContain("plan: nothing to change");
      expect(await contents()).toEqual(after);
    },
    LIMIT_MS,
  );

  test(
    "are connected as well by objects that somebody else has written",
    async () => {
      const path = "/api/v1/namespaces/east/secrets";
      const secret = await kubernetes.call<Secret>({ path: `${path}/tombolo-peer-west` });
      await kubernetes.call({ method: "DELETE", path: `${path}/tombolo-peer-west` });
      const labels = { ...secret.metadata.labels, "app.kubernetes.io/managed-by": "gitops" };
      const metadata = { name: secret.metadata.name, labels };
      await kubernetes.call({ method: "POST", path, body: { metadata, data: secret.data } });
      const before = await contents();
      const { out } = await mesh(connectCommand, "east", "west", "--dry-run");
      expect(out).toBe("east, west: connected already, nothing to change.\n");

      // What is broken is repaired, and what is not ours about the object stays.
      const body = { data: { endpoints: Buffer.from("https://127.0.0.1:1\n").toString("base64") } };
      await kubernetes.call({ method: "PATCH", path: `${path}/tombolo-peer-west`, body });
      const repaired = await mesh(connectCommand, "east", "west");
      expect(repaired.err).toContain("the peer's endpoints changed");
      expect(repaired.status).toBe(0);
      const now = (await contents())[`${path}/tombolo-peer-west`];
      const was = before[`${path}/tombolo-peer-west`] as Secret & { labels: object };
      expect(now).toMatchObject({ labels: was.labels });
    },
    LIMIT_MS,
  );

  test(
    "connect with a cluster that is no Kubernetes cluster",
    async () => {
      const { status } = await mesh(connectCommand, "east", "north");
      expect(status).toBe(0);
      expect(await peersOf(north)).toEqual(["east ready"]);
      expect((await mesh(disconnectCommand, "north", "east")).status).toBe(0);
      expect(await contents()).not.toHaveProperty(
        "/api/v1/namespaces/east/secrets/tombolo-peer-north",
      );
    },
    LIMIT_MS,
  );

  test(
    "are taken apart, and put together again by an invitation",
    async () => {
      const { status, out } = await mesh(disconnectCommand, "east", "west");
      expect(out).toBe("Disconnected: east and west\n");
      expect(status).toBe(0);
      expect(Object.keys(await contents()).filter((path) => path.includes("peer"))).toEqual([]);

      const invited = await mesh(inviteCommand, "--context", "west", "--output", "json");
      const { token } = JSON.parse(invited.out) as { token: string };
      const joined = await mesh(joinCommand, token, "--context", "east");
      expect(joined.out).toBe("Connected: east, west\n");
      expect(await peersOf(west)).toEqual(["east ready"]);
      const twice = mesh(joinCommand, token, "--context", "east");
      await expect(twice).rejects.toThrow("the invitation was used already");
    },
    LIMIT_MS,
  );

  test(
    "are judged from inside where their etcd cannot be reached from here",
    async () => {
      const path = "/api/v1/namespaces/east/configmaps/tombolo-cluster";
      const shown = await kubernetes.call<{ data: Record<string, string> }>({ path });
      const given = shown.data["cluster.json"] ?? "";
      const data = { "cluster.json": given.replace("https://127.0.0.1:", "https://east.inside:") };
      await kubernetes.call({ method: "PATCH", path, body: { data } });
      const profile = join(east.directory, "cluster.json");
      await eventually(async () => (await readFile(profile, "utf8")).includes("east.inside"));

      insiders.add("east");
      const refused = await mesh(connectCommand, "east", "west", "--dry-run", "--output", "json");
      expect(JSON.parse(refused.out)).toMatchObject({
        outcome: "refused",
        findings: [
          {
            rule: "peer-unreachable",
            message: expect.stringContaining(
              'The apiserver of cluster "west" does not reach the etcd of cluster "east" at https://east.inside:',
            ),
          },
        ],
      });

      insiders.add("west");
      const dry = await mesh(connectCommand, "east", "west", "--dry-run");
      expect(dry.err).toContain("preflight: the clusters fit together");
      expect(dry.status).toBe(0);
      const parted = await mesh(disconnectCommand, "east", "west", "--dry-run");
      expect(parted.err + parted.out).not.toContain("Cannot");
      expect(parted.status).toBe(0);

      insiders.clear();
      const outside = await mesh(connectCommand, "east", "west", "--dry-run");
      expect(outside.err).toContain(
        'The etcd of cluster "east" does not answer at https://east.ins',
      );
      await kubernetes.call({
        method: "PATCH",
        path,
        body: { data: { "cluster.json": given } },
      });
    },
    LIMIT_MS,
  );

  test(
    "are looked at node by node in the agents' pods",
    async () => {
      const labels = { "app.kubernetes.io/name": "tombolo-agent" };
      await kubelet.addPod({ namespace: "east", name: "agent-0", labels });
      const look = (node: string) =>
        mesh(inNodePod(statusCommand), "--context", "east", "--node", node, "--output", "json");
      const { status, out } = await look("n1");
      expect(JSON.parse(out)).toMatchObject([{ cluster: "east", apiserver: { ready: true } }]);
      expect(status).toBe(0);
      await expect(look("n2")).rejects.toMatchObject({
        code: "not_found",
        message: expect.stringContaining('Cannot find a pod of the agent on node "n2"'),
      });
    },
    LIMIT_MS,
  );

  test(
    "say what is missing when an apiserver is not there",
    async () => {
      const path = "/api/v1/namespaces/east/pods/apiserver-0";
      await kubernetes.call({ method: "DELETE", path: `${path}?gracePeriodSeconds=0` });
      const { status, out } = await mesh(statusCommand, "--context", "east");
      expect(out).toContain("Cannot find a pod of the apiserver");
      expect(status).toBe(1);
      const refused = await mesh(connectCommand, "east", "west");
      expect(refused.status).toBe(1);
      expect(refused.err).toContain('The apiserver of cluster "east" does not answer');
      expect((await mesh(disconnectCommand, "east", "west")).status).toBe(0);
    },
    LIMIT_MS,
  );
});
