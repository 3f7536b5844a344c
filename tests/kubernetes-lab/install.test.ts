// `mesh install`, `upgrade` and `uninstall` on nodes with a kubelet, containerd and pods: what was
// installed works, goes on working while it is exchanged and killed, and leaves nothing when it is
// taken away. The tests are steps of one story; each begins where the one before has ended.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { formatCounts, summariseRequests } from "../../deploy/lab/requests.ts";
import { mustSucceed, type MeshResult } from "../e2e/test-lab.ts";
import { eventually } from "../fakes/eventually.ts";
import { createKubernetesTestLab, KUBERNETES_UP_LIMIT_MS } from "./kubernetes-lab.ts";
import { CLIENT, clientManifests, readRecords, SHOP, shopManifests } from "./shop.ts";
import {
  agentNodes,
  agentPods,
  containersOf,
  pidOf,
  SYSTEM,
  type SystemContainer,
} from "./system-pods.ts";
import { readClusterTraces, readVersions, type Traces } from "./traces.ts";

const LIMIT_MS = 300_000;
const CLUSTER = "east";
const NODES = ["node1", "node2"];
const NAME = ["--cluster-name", CLUSTER, "--cluster-id", "1"];
const INSIDE = "/var/run/secrets/kubernetes.io/serviceaccount";
/** As a pod asks the API server: by the Service's address, with the account it was given. */
const ASK_API = `
  const url = "https://" + process.env.KUBERNETES_SERVICE_HOST + "/api/v1/namespaces/default/pods";
  const authorization = "Bearer " + fs.readFileSync("${INSIDE}/token", "utf8");
  fetch(url, { headers: { authorization } }).then((answer) => answer.text()).then(console.log);`;

const lab = createKubernetesTestLab("kinst");
const directory = mkdtempSync(join(tmpdir(), "tombolo-requests-"));
const records = { new: join(directory, "new"), kept: join(directory, "kept") };
let image = "";
let before: Traces;

beforeAll(async () => {
  for (const path of Object.values(records)) mkdirSync(path);
  mustSucceed(
    await lab.upKubernetes([
      "--no-install",
      "--clusters",
      CLUSTER,
      "--nodes",
      String(NODES.length),
    ]),
  );
  image = await lab.importTombolo(CLUSTER);
  before = await traces();
}, KUBERNETES_UP_LIMIT_MS);

afterAll(async () => {
  await lab.remove();
  rmSync(directory, { recursive: true, force: true });
}, LIMIT_MS);

describe("mesh install", () => {
  test(
    "names the pods that wait for an image that no node has",
    async () => {
      const words = ["--image", "localhost/tombolo:missing", "--timeout", "25"];
      const { status, stderr } = await install(words);
      expect(status).toBe(1);
      const waits = /pod tombolo-agent-\w+ on node east-node[12]: container install-plugin waits: /;
      expect(stderr.split("mesh: error:")[1]).toMatch(waits);
      expect(stderr.split("mesh: error:")[1]).toContain('"localhost/tombolo:missing"');
    },
    LIMIT_MS,
  );

  test(
    "run again with the right one, makes the nodes ready and gives pods a network",
    async () => {
      mustSucceed(await install(["--image", image]));
      await lab.kubectl(CLUSTER, ["wait", "--for=condition=Ready", "node", "--all"]);
      const deployments = ["wait", "--for=condition=Available", "deployment", "--all"];
      await lab.kubectl(CLUSTER, [...deployments, "-n", SYSTEM]);
      expect(await agentNodes(lab, CLUSTER)).toEqual(["east-node1", "east-node2"]);

      // Ready means that the kubelet reached every pod.
      await deployShop();
      await startClients();
      const exec = ["exec", "client", "-n", CLIENT, "--", "env"];
      const node = ["/opt/tombolo/node_modules/.bin/node", "-e", ASK_API];
      const trust = `NODE_EXTRA_CA_CERTS=${INSIDE}/ca.crt`;
      const answer = await lab.kubectl(CLUSTER, [...exec, trust, ...node]);
      expect(answer).toContain(`system:serviceaccount:${CLIENT}:default`);
    },
    LIMIT_MS,
  );

  test(
    "a second time changes nothing",
    async () => {
      const place = { cluster: CLUSTER, namespace: SYSTEM };
      const versions = await readVersions(lab, place);
      expect(mustSucceed(await install(["--image", image]))).toMatch(/; \d+ unchanged$/m);
      expect(await readVersions(lab, place)).toEqual(versions);
    },
    LIMIT_MS,
  );
});

describe("what is installed", () => {
  test(
    "is upgraded one node at a time, and pods notice nothing",
    async () => {
      const pods = await podLines();
      const old = await agentPods(lab, CLUSTER);
      mustSucceed(await lab.meshAt(CLUSTER, ["upgrade", "--mtu", "1450"]));
      const agents = await agentPods(lab, CLUSTER);
      expect(agents.filter(({ name }) => old.some((pod) => pod.name === name))).toEqual([]);
      const [first, second] = agents;
      expect(second?.createdMs).toBeGreaterThanOrEqual(first?.readyMs ?? Number.NaN);
      expect(await podLines()).toEqual(pods);
      await expectNoFailure("upgrade");
    },
    LIMIT_MS,
  );

  test(
    "comes back after kill -9 of agents and apiserver, and pods notice nothing",
    async () => {
      const pods = await podLines();
      const killed = await daemons();
      expect(killed).toHaveLength(NODES.length + 1);
      for (const container of killed) process.kill(await pidOf(lab, container), "SIGKILL");
      await eventually(
        async () => {
          const alive = await daemons();
          const ids = new Set(killed.map(({ id }) => id));
          return alive.every(({ id, ready }) => ready && !ids.has(id));
        },
        { limitMs: LIMIT_MS, pollMs: 500, what: "the kubelets start all of them again" },
      );
      expect(await podLines()).toEqual(pods);
      await expectNoFailure("kill -9");
    },
    LIMIT_MS,
  );
});

describe("mesh uninstall", () => {
  test(
    "refuses while a peer is connected, and names it",
    async () => {
      const peer = {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "tombolo-peer-west", labels: { "tombolo.io/peer": "west" } },
      };
      await lab.kubectl(CLUSTER, ["apply", "-n", SYSTEM, "-f", "-"], JSON.stringify(peer));
      const { status, stderr } = await lab.meshAt(CLUSTER, ["uninstall"]);
      expect(status).toBe(1);
      expect(stderr).toContain("it is connected with west");
      expect(await agentNodes(lab, CLUSTER)).toEqual(["east-node1", "east-node2"]);
      await lab.kubectl(CLUSTER, ["delete", "secret", "tombolo-peer-west", "-n", SYSTEM]);
    },
    LIMIT_MS,
  );

  test(
    "leaves the cluster and its nodes as they were",
    async () => {
      for (const namespace of [SHOP, CLIENT]) await endWorkloads(namespace);
      mustSucceed(await lab.meshAt(CLUSTER, ["uninstall"]));
      await expectAsBefore();
    },
    LIMIT_MS,
  );

  test(
    "takes running pods' interfaces too; with the next plugin they end, and nothing is left",
    async () => {
      mustSucceed(await install(["--image", image]));
      await deployShop();
      const { status, stderr } = await lab.meshAt(CLUSTER, ["uninstall"]);
      expect({ status, stderr }).toMatchObject({ status: 0 });
      expect(stderr).toMatch(/2 pods lose the network \(shop\/cart-[^)]+\)/);
      const kernel = await traces();
      for (const node of NODES) {
        for (const what of ["interfaces", "routes IPv4", "routes IPv6", "programs of cgroups"]) {
          const heading = `${node}: ${what}`;
          expect([heading, kernel[heading]]).toEqual([heading, before[heading]]);
        }
      }
      await withOtherPlugin(() => endWorkloads(SHOP));
      await expectAsBefore();
    },
    LIMIT_MS,
  );
});

function install(words: readonly string[]): Promise<MeshResult> {
  // There is no kube-proxy that would lead to the Service "kubernetes" before Tombolo does.
  return lab.cluster(CLUSTER).then(({ server }) => {
    const { host } = new URL(server);
    return lab.meshAt(CLUSTER, ["install", ...NAME, "--api-server", host, ...words]);
  });
}

function traces(): Promise<Traces> {
  return readClusterTraces(lab, { cluster: CLUSTER, nodes: NODES });
}

/** Controllers and runtimes clear away what belonged to the deleted in their own time. */
async function expectAsBefore(): Promise<void> {
  let now: Traces = {};
  const same = eventually(
    async () => {
      now = await traces();
      return isDeepStrictEqual(now, before);
    },
    { limitMs: 60_000, pollMs: 1_000 },
  );
  // What differs is told below.
  await same.catch(() => undefined);
  expect(now).toEqual(before);
}

async function deployShop(): Promise<void> {
  await apply(shopManifests({ cluster: CLUSTER, image, replicas: NODES.length }));
  const status = ["rollout", "status", "deployment/cart", "-n", SHOP, "--timeout=240s"];
  await lab.kubectl(CLUSTER, status);
}

/** The pods first: Kubernetes looks ever less often at a namespace in which some are ending. */
async function endWorkloads(namespace: string): Promise<void> {
  const all = ["--all", "-n", namespace];
  // In this order: as long as there is a Deployment, its pods are made again.
  await lab.kubectl(CLUSTER, ["delete", "deployment", ...all, "--cascade=foreground"]);
  await lab.kubectl(CLUSTER, ["delete", "pod", ...all, "--grace-period=1"]);
  await lab.kubectl(CLUSTER, ["delete", "namespace", namespace]);
}

/** On node1: one asks by new connections the Service and node2's pod, one keeps its connection. */
async function startClients(): Promise<void> {
  const service = ["get", "service", "cart", "-n", SHOP, "-o", "jsonpath={.spec.clusterIP}"];
  const targets = [`tcp:${await lab.kubectl(CLUSTER, service)}:80`];
  const path = 'jsonpath={.items[?(@.spec.nodeName=="east-node2")].status.podIP}';
  const other = await lab.kubectl(CLUSTER, ["get", "pods", "-n", SHOP, "-o", path]);
  const client = { image, node: "east-node1", intervalMs: 50 };
  await apply([
    ...clientManifests({
      ...client,
      targets: [...targets, `tcp:${other}:8080`],
      directory: records.new,
    }),
    ...clientManifests({ ...client, name: "kept", keep: true, targets, directory: records.kept }),
  ]);
  const wait = ["wait", "--for=condition=Ready", "pod", "--all", "-n", CLIENT, "--timeout=120s"];
  await lab.kubectl(CLUSTER, wait);
  await expectNoFailure("start");
}

/** None since the clients started; and both go on. */
async function expectNoFailure(what: string): Promise<void> {
  for (const [kind, path] of Object.entries(records)) {
    const sinceMs = Date.now();
    const all = await eventually(
      () => {
        const found = readRecords(path);
        return found.some(({ sentAtMs }) => sentAtMs > sinceMs) ? found : undefined;
      },
      { limitMs: 60_000, pollMs: 100, what: "the client goes on" },
    );
    const { requests, failures, byError } = summariseRequests(all);
    process.stdout.write(
      `${what}: ${requests} requests by ${kind} connections, ${failures} failed ${formatCounts(byError)}\n`,
    );
    expect(failures).toBe(0);
  }
}

async function apply(items: readonly object[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await lab.kubectl(CLUSTER, ["apply", "-f", "-"], list);
}

/** The containers of every agent and of the apiserver. */
async function daemons(): Promise<SystemContainer[]> {
  const which = { cluster: CLUSTER, pod: "tombolo-agent", container: "agent" };
  const server = { cluster: CLUSTER, pod: "tombolo-apiserver", container: "apiserver" };
  return [...(await containersOf(lab, which)), ...(await containersOf(lab, server))];
}

/** Workloads' pods with what changes when one of their containers starts again. */
async function podLines(): Promise<string[]> {
  const status = ".status.containerStatuses[*]";
  const line = `{.metadata.uid} {${status}.restartCount} {${status}.containerID}`;
  const path = `jsonpath={range .items[*]}${line}{"\\n"}{end}`;
  const lines = [SHOP, CLIENT].map((namespace) =>
    lab.kubectl(CLUSTER, ["get", "pods", "-n", namespace, "-o", path]),
  );
  return (await Promise.all(lines)).join("").trimEnd().split("\n");
}

/** A runtime without any plugin does not end pods. This one has nothing to take away. */
async function withOtherPlugin(work: () => Promise<unknown>): Promise<void> {
  const file = "/etc/cni/net.d/10-other.conf";
  const text = JSON.stringify({ cniVersion: "0.4.0", name: "other", type: "loopback" });
  const onBoth = (script: string): Promise<unknown> =>
    Promise.all(NODES.map((node) => lab.onNode({ cluster: CLUSTER, node }, ["sh", "-c", script])));
  await onBoth(`echo '${text}' > ${file}`);
  await work();
  // What the runtime remembers of pods under the name of a network that is gone is its own.
  await onBoth(`rm -f ${file} /var/lib/cni/results/tombolo-*`);
}
