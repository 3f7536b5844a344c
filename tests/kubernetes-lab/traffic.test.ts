// The main job on real Kubernetes: a pod asks the ClusterIP of a global Service while everything is
// done to the clusters that operators and accidents do. Requests are numbered and counted; the
// figures are printed. Requests are lost in one case only: a node that dies takes those to its pods
// with it until the other nodes have noticed, which is long before Kubernetes has.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  clusterOfAnswer,
  formatCounts,
  summariseRequests,
  type RequestRecord,
} from "../../deploy/lab/requests.ts";
import { eventually } from "../fakes/eventually.ts";
import { mustSucceed } from "../e2e/test-lab.ts";
import { createKubernetesTestLab, KUBERNETES_UP_LIMIT_MS } from "./kubernetes-lab.ts";
import { drillByContexts } from "./drills.ts";
import { drainsOf, drainedPercent, healthSeenFrom } from "./node-views.ts";
import { clientManifests, readRecords, SHOP, shopManifests, TIMEOUT_MS } from "./shop.ts";
import { containersOf } from "./system-pods.ts";

const LIMIT_MS = 300_000;
const INTERVAL_MS = 20;
/** So many answers in a row tell that a state has settled. */
const SETTLED = 150;
/**
 * From a node's death until no new request goes to its pods: half a second by docs/health.md, and
 * what a machine is late by whose two cores run two clusters. Kubernetes needs more than ten.
 */
const NOTICED_MS = 3_000;

const SYSTEM = "tombolo-system";
const lab = createKubernetesTestLab("ktraffic");
const directory = mkdtempSync(join(tmpdir(), "tombolo-requests-"));
let image = "";

beforeAll(async () => {
  mustSucceed(await lab.upKubernetes());
  image = await imageOfAgents();
  mustSucceed(await lab.mesh(["connect", "east", "west"]));
  for (const cluster of ["east", "west"]) await deployShop(cluster);
  const path = "jsonpath={.spec.clusterIP}";
  const address = await lab.kubectl("east", ["get", "service", "cart", "-n", SHOP, "-o", path]);
  const client = clientManifests({
    image,
    node: "east-node1",
    targets: [`tcp:${address}:80`],
    intervalMs: INTERVAL_MS,
    directory,
  });
  await apply("east", client);
  await bothAnswer();
}, KUBERNETES_UP_LIMIT_MS);

afterAll(async () => {
  await lab.remove();
  rmSync(directory, { recursive: true, force: true });
}, LIMIT_MS);

describe("agents on the nodes", () => {
  test.each(["east", "west"])(
    "of %s know by probes, in both families, that the other cluster is healthy",
    async (cluster) => {
      const peer = cluster === "east" ? "west" : "east";
      for (const node of ["node1", "node2"]) {
        const place = { cluster, node: `${cluster}-${node}` };
        const seen = await eventually(
          async () => {
            const states = await healthSeenFrom(lab, { ...place, peer });
            return states.every(({ state }) => state === "healthy") ? states : undefined;
          },
          { limitMs: 60_000, pollMs: 500, what: `${node} of ${cluster} finds ${peer} healthy` },
        );
        expect(seen).toEqual([
          { family: 4, state: "healthy", answering: 2 },
          { family: 6, state: "healthy", answering: 2 },
        ]);
      }
    },
    LIMIT_MS,
  );
});

describe("a drill, by who has contexts of Kubernetes clusters and nothing else", () => {
  test(
    "cuts a cluster off under real requests, and leaves everything as it was",
    async () => {
      await count("drill: west is cut off", async () => {
        const words = ["--fault", "cluster-black-hole", "--cluster", "west", "--duration", "8s"];
        const { restoration, id } = await drillByContexts(lab, words);
        expect(restoration).toEqual({ proved: true, differences: [] });
        await bothAnswer();
        for (const words of [
          ["events", "--kind", "drill"],
          ["drill", "list"],
        ]) {
          expect(mustSucceed(await lab.mesh([...words, "--context", "east"]))).toContain(id);
        }
      });
    },
    LIMIT_MS,
  );

  test(
    "kills a cluster's apiserver: it is another process afterwards, and no request is lost",
    async () => {
      const which = { cluster: "west", pod: "tombolo-apiserver", container: "apiserver" };
      const [before] = await containersOf(lab, which);
      const { failures } = await count("drill: west's apiserver is killed", async () => {
        const words = ["--fault", "apiserver-kill", "--cluster", "west", "--duration", "8s"];
        const { restoration } = await drillByContexts(lab, words);
        expect(restoration).toEqual({ proved: true, differences: [] });
        const [after] = await eventually(
          async () => {
            const found = await containersOf(lab, which);
            return found.every(({ ready }) => ready) ? found : undefined;
          },
          { limitMs: LIMIT_MS, pollMs: 500, what: "west's apiserver is ready" },
        );
        expect(after?.id).not.toBe(before?.id);
      });
      expect(failures).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "does not reach a cluster through its peer, unless that cluster accepts it",
    async () => {
      const words = ["--fault", "cluster-black-hole", "--cluster", "west"];
      const plan = await lab.mesh(["drill", "plan", ...words, "--context", "east"]);
      expect(plan.status).not.toBe(0);
      expect(plan.stderr).toContain("drill: west takes no part");
    },
    LIMIT_MS,
  );
});

describe("a pod that asks a global Service by its ClusterIP", () => {
  test(
    "gets answers from every pod of both clusters",
    async () => {
      const { byBackend } = await count("steady", async () => bothAnswer());
      expect(byBackend.size).toBe(4);
    },
    LIMIT_MS,
  );

  test(
    "loses nothing when the other cluster is drained for a while, by a ConfigMap",
    async () => {
      const { failures } = await count("drain west and undrain it", async () => {
        mustSucceed(await lab.mesh(["drain", "west", "--for", "5m", "--reason", "new kernel"]));
        expect(await drainsOf(lab, "west")).toHaveLength(1);
        await onlyFrom("east");
        const onEast = { cluster: "east", node: "east-node1", clusterId: 2 };
        expect(await drainedPercent(lab, onEast)).toBe(100);
        mustSucceed(await lab.mesh(["undrain", "west"]));
        expect(await drainsOf(lab, "west")).toEqual([]);
        await bothAnswer();
        expect(await drainedPercent(lab, onEast)).toBe(0);
      });
      expect(failures).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "loses nothing when one side is scaled to zero and back",
    async () => {
      const { failures } = await count("scale east to zero and back", async () => {
        await lab.kubectl("east", ["scale", "deployment/cart", "-n", SHOP, "--replicas=0"]);
        await onlyFrom("west");
        await lab.kubectl("east", ["scale", "deployment/cart", "-n", SHOP, "--replicas=2"]);
        await bothAnswer();
      });
      expect(failures).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "loses nothing when the other cluster's namespace is deleted and made again",
    async () => {
      const { failures } = await count("delete and recreate west's namespace", async () => {
        await lab.kubectl("west", ["delete", "namespace", SHOP]);
        await onlyFrom("east");
        await deployShop("west");
        await bothAnswer();
      });
      expect(failures).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "loses nothing when its API server is killed and comes back, and pods move in between",
    async () => {
      const { failures } = await count("kill -9 of east's API server", async () => {
        await lab.kill({ cluster: "east", kind: "kube-apiserver" });
        await lab.kubectl("west", ["rollout", "restart", "deployment/cart", "-n", SHOP]);
        await lab.kubectl("west", ["rollout", "status", "deployment/cart", "-n", SHOP]);
        await lab.start({ cluster: "east", kind: "kube-apiserver" });
        await lab.kubectl("east", ["rollout", "restart", "deployment/cart", "-n", SHOP]);
        await lab.kubectl("east", ["rollout", "status", "deployment/cart", "-n", SHOP]);
        await bothAnswer();
      });
      expect(failures).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "loses nothing when the agents of both clusters are rolled",
    async () => {
      const { failures } = await count("roll the agents", async () => {
        for (const cluster of ["east", "west"]) {
          await lab.kubectl(cluster, ["rollout", "restart", "ds/tombolo-agent", "-n", SYSTEM]);
          await lab.kubectl(cluster, ["rollout", "status", "ds/tombolo-agent", "-n", SYSTEM]);
        }
        await bothAnswer();
      });
      expect(failures).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "loses nothing when both apiservers are replaced, empty etcds and all",
    async () => {
      const { failures } = await count("roll the apiservers", async () => {
        for (const cluster of ["east", "west"]) {
          const target = ["deployment/tombolo-apiserver", "-n", SYSTEM];
          await lab.kubectl(cluster, ["rollout", "restart", ...target]);
          await lab.kubectl(cluster, ["rollout", "status", ...target]);
        }
        await bothAnswer();
      });
      expect(failures).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "loses only what a dead node takes with it, and that long before Kubernetes has noticed",
    async () => {
      const node = await nodeWithoutApiserver("west");
      let killedMs = 0;
      const { records } = await count(`cordon and kill ${node}`, async () => {
        await lab.kubectl("west", ["cordon", node]);
        killedMs = Date.now();
        await lab.killNode("west", node);
        await eventually(async () => !(await readyNodes("west")).includes(node), {
          limitMs: LIMIT_MS,
          what: "Kubernetes takes the dead node's pods out of the Service",
          pollMs: 200,
        });
        sayAfter("Kubernetes has noticed", killedMs);
        await settled("both clusters answer without the dead node", (last) =>
          last.every(({ answer }) => answer !== undefined),
        );
        mustSucceed(await lab.upKubernetes());
        await lab.kubectl("west", ["uncordon", node]);
        await bothAnswer();
      });
      const failed = records.filter(({ error }) => error !== undefined);
      const lastMs = Math.max(...failed.map(({ sentAtMs }) => sentAtMs));
      if (failed.length > 0) sayAfter("the last failed request was sent", killedMs, lastMs);
      expect(failed.filter(({ sentAtMs }) => sentAtMs > killedMs + NOTICED_MS)).toEqual([]);
    },
    LIMIT_MS,
  );
});

function sayAfter(what: string, sinceMs: number, atMs = Date.now()): void {
  process.stderr.write(`${what} ${((atMs - sinceMs) / 1_000).toFixed(1)} s after the node died\n`);
}

async function deployShop(cluster: string): Promise<void> {
  await apply(cluster, shopManifests({ cluster, image, replicas: 2 }));
  const status = ["rollout", "status", "deployment/cart", "-n", SHOP, "--timeout=240s"];
  await lab.kubectl(cluster, status);
}

async function apply(cluster: string, items: readonly object[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await lab.kubectl(cluster, ["apply", "-f", "-"], list);
}

/** The image that the lab has put on every node. */
function imageOfAgents(): Promise<string> {
  const path = "jsonpath={.spec.template.spec.containers[0].image}";
  return lab.kubectl("east", ["get", "ds", "tombolo-agent", "-n", SYSTEM, "-o", path]);
}

/** Runs `work` and says what became of the requests that were sent meanwhile. */
async function count(
  what: string,
  work: () => Promise<unknown>,
): Promise<ReturnType<typeof summariseRequests> & { records: readonly RequestRecord[] }> {
  const firstMs = Date.now();
  await work();
  const lastMs = Date.now();
  // Every request that was sent meanwhile has ended once one has that was sent later.
  const all = await eventually(
    () => {
      const records = readRecords(directory);
      return records.some(({ sentAtMs }) => sentAtMs > lastMs + TIMEOUT_MS) ? records : undefined;
    },
    { limitMs: 60_000, pollMs: 100, what: "the client goes on" },
  );
  const records = all.filter(({ sentAtMs }) => sentAtMs >= firstMs && sentAtMs <= lastMs);
  const summary = summariseRequests(records);
  const seconds = ((lastMs - firstMs) / 1_000).toFixed(1);
  const { requests, failures, byCluster, byError } = summary;
  process.stderr.write(
    `${what}: ${seconds} s, ${requests} requests, ${failures} failed ${formatCounts(byError)}; ` +
      `answers: ${formatCounts(byCluster)}\n`,
  );
  return { ...summary, records };
}

function bothAnswer(): Promise<unknown> {
  return settled("both clusters answer from two pods each", (last) => {
    const { failures, byBackend } = summariseRequests(last);
    return failures === 0 && byBackend.size === 4;
  });
}

function onlyFrom(cluster: string): Promise<unknown> {
  return settled(`only ${cluster} answers`, (last) =>
    last.every((record) => clusterOfAnswer(record) === cluster),
  );
}

/** Waits until the condition holds for the last answers, all of them sent after this call. */
function settled(
  what: string,
  condition: (last: readonly RequestRecord[]) => boolean,
): Promise<unknown> {
  const sinceMs = Date.now();
  return eventually(
    () => {
      const last = readRecords(directory).slice(-SETTLED);
      return (
        last.length === SETTLED &&
        last.every(({ sentAtMs }) => sentAtMs > sinceMs) &&
        condition(last)
      );
    },
    { limitMs: LIMIT_MS, pollMs: 200, what },
  );
}

/** Names of the nodes whose pods Kubernetes counts among the Service's. */
async function readyNodes(cluster: string): Promise<string> {
  const path = "jsonpath={.subsets[*].addresses[*].nodeName}";
  return lab.kubectl(cluster, ["get", "endpoints", "cart", "-n", SHOP, "-o", path]);
}

/** Of the cluster's two nodes, the one on which no apiserver runs. */
async function nodeWithoutApiserver(cluster: string): Promise<string> {
  const pods = ["get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=tombolo-apiserver"];
  const path = "jsonpath={.items[*].spec.nodeName}";
  const taken = await lab.kubectl(cluster, [...pods, "-o", path]);
  return `${cluster}-${taken === `${cluster}-node1` ? "node2" : "node1"}`;
}
