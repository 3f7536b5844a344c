// Drills on real parts, by the command that people use: three clusters, every kind of fault, every
// verdict, and the promise that a fault ends by itself when everything that could lift it is dead.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { ChildProcess } from "node:child_process";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openDatapathMaps, type DatapathMaps } from "../../bpf/datapath.ts";
import { findCluster } from "../../deploy/lab/plan.ts";
import { createPod, listPods, type PodHost } from "../../deploy/lab/pods.ts";
import { serviceTargets, writeService } from "../../deploy/lab/services.ts";
import { cutUnderlay, healUnderlay } from "../../deploy/lab/underlay.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { findLocalNode } from "../../mesh/contexts/local-nodes.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  cartOf,
  killWithChildren,
  parseReport,
  runDrill,
  say,
  verdictOf,
  writeDrill,
} from "./drill-runs.ts";
import { shortenHoldDowns } from "./failover-lab.ts";
import {
  CART,
  cartPod,
  collect,
  createTestLab,
  deployCart,
  killDaemons,
  mustSucceed,
  never,
  startClient,
  UP_LIMIT_MS,
} from "./test-lab.ts";

const LIMIT_MS = 240_000;
const CLUSTERS = ["east", "west", "north"];
/** In north only, so nobody can take over. */
const SOLO = { ...CART, name: "solo", number: 11, selector: { app: "solo" } };
/** A fault of a drill lasts so long at most after it was renewed. */
const FAULT_TTL_MS = 10_000;
const lab = createTestLab("drill");
let host: PodHost;
let west: DatapathMaps;

beforeAll(async () => {
  mustSucceed(await lab.up(["--clusters", CLUSTERS.join(","), "--nodes", "1"]));
  mustSucceed(await lab.mesh(["connect", "--all", ...CLUSTERS]));
  host = await lab.open();
  await shortenHoldDowns(host);
  await deployCart(host);
  await Promise.all(host.plan.members.map((cluster) => writeService(cluster, SOLO)));
  const solo = cartPod({ cluster: "north", node: "node1", name: "solo" });
  await createPod(host, { ...solo, labels: { app: "solo" } }, never);
  const home = { home: lab.home, node: "west-node1", instead: "" };
  west = openDatapathMaps(await findLocalNode("bpfRoot", home));
  await eventually(isSteady, { limitMs: LIMIT_MS, pollMs: 500 });
}, 2 * UP_LIMIT_MS);

afterAll(async () => {
  west?.[Symbol.dispose]();
  await lab.remove();
}, LIMIT_MS);

/** All three clusters serve the cart, and everybody holds everybody for healthy. */
async function isSteady(): Promise<boolean> {
  const plan = ["drill", "plan", "--fault", "loss", "--cluster", "west", "--output", "json"];
  const { status, stdout } = await lab.mesh(plan);
  if (status !== 0) return false;
  const { services, unsteady } = JSON.parse(stdout) as {
    services: { service: string; sources: { backends: number }[] }[];
    unsteady: string[];
  };
  const counts = services.flatMap(({ sources }) => sources.map(({ backends }) => backends));
  return unsteady.length === 0 && counts.join() === "3,3,3,1,1,1";
}

/** Rows of west's only node that its kernel still obeys. */
function faultsInForce(): number {
  const nowNs = process.hrtime.bigint();
  return [...west.faults.entries()].filter(([, { expiresNs }]) => expiresNs > nowNs).length;
}

/** A long drill, up to the moment when its fault is in force. */
async function beginDrill(name: string): Promise<ChildProcess> {
  const fault = { kind: "cluster-black-hole", cluster: "west" };
  const file = await writeDrill(lab, name, { fault, duration: "2m" });
  const child = lab.startMesh(["drill", "run", file, "--output", "json"]);
  await eventually(() => faultsInForce() > 0, { limitMs: LIMIT_MS, pollMs: 20 });
  return child;
}

/** Generous where a busy machine decides; hanging connections and the datapath are judged always. */
const LATE = { default: { rto: "2900ms", maxHungFlows: 0 } };

describe("faults of packets", () => {
  test(
    "a black hole, twice: reports for people, for CI and for machines",
    async () => {
      const files = ["page.html", "junit.xml", "report.json"].map((name) => join(lab.home, name));
      const [page = "", junit = "", json = ""] = files;
      const words = ["--runs", "2", "--report", page, "--junit", junit, "--json", json];
      const fault = { kind: "cluster-black-hole", cluster: "west" };
      const drilled = await runDrill(lab, "black-hole", { fault, objectives: LATE }, words);
      say("cluster-black-hole", drilled);
      const { report, result } = drilled;
      expect([...verdictOf(report), result.status]).toEqual(["PASS", [], 0]);
      expect(report.runs).toHaveLength(2);
      expect(report.runs.every(({ restoration }) => restoration.proved)).toBe(true);
      expect(report.distributions["convergedMs"]?.max).toBeGreaterThan(0);
      const { ledger } = cartOf(report);
      const { sent, answered, failed, hung } = ledger.requests;
      expect(answered + failed + hung).toBe(sent);
      expect(JSON.parse(await readFile(json, "utf8"))).toEqual(report);
      expect(await readFile(page, "utf8")).toMatch(
        /^<!doctype html>[\s\S]*shop\/cart[\s\S]*<\/html>/i,
      );
      expect(await readFile(junit, "utf8")).toMatch(
        /<testsuites?[\s\S]*shop\/cart[\s\S]*<\/testsuites?>/,
      );
    },
    LIMIT_MS,
  );

  test(
    "refused: an objective that cannot be kept fails it with a sentence and the recovery time",
    async () => {
      const fault = { kind: "cluster-refuse", cluster: "west" };
      const objectives = { default: { ...LATE.default, maxLostRequests: 0 } };
      const drilled = await runDrill(lab, "refuse", { fault, objectives });
      say("cluster-refuse", drilled);
      expect(drilled.result.status).toBe(1);
      const [verdict, reasons] = verdictOf(drilled.report);
      expect(verdict).toBe("FAIL");
      expect(reasons).toEqual([
        expect.stringMatching(/^shop\/cart: Requests lost: \d+, at most 0/),
      ]);
      expect(cartOf(drilled.report).times.convergedMs).toBeLessThan(2_900);
    },
    LIMIT_MS,
  );

  test(
    "node-loss passes and leaves nothing behind",
    async () => {
      const fault = { kind: "node-loss", cluster: "west", node: "west-node1" };
      const drilled = await runDrill(lab, "node-loss", { fault, objectives: LATE });
      say("node-loss", drilled);
      expect(verdictOf(drilled.report)).toEqual(["PASS", []]);
    },
    LIMIT_MS,
  );

  // Without netem the slow way is a thin line, which loses packets as well (docs/drill-faults.md):
  // what that does to requests is printed, not promised.
  test(
    "latency is felt, and nothing of it is left behind",
    async () => {
      const drilled = await runDrill(lab, "latency", {
        fault: { kind: "latency", cluster: "west" },
      });
      say("latency", drilled);
      const { runs } = drilled.report;
      expect(runs.map(({ restoration }) => restoration)).toEqual([
        { proved: true, differences: [] },
      ]);
      expect(cartOf(drilled.report).latency.duringP99Ms).toBeGreaterThan(100);
    },
    LIMIT_MS,
  );

  test(
    "one way is cut: both sides notice it as they do a black hole, nothing is left behind",
    async () => {
      const fault = { kind: "partition", cluster: "west", peer: "east" };
      const scope = { direction: "outbound" };
      const drilled = await runDrill(lab, "partition", { fault, scope, objectives: LATE });
      say("partition", drilled);
      expect(verdictOf(drilled.report)).toEqual(["PASS", []]);
      const { runs } = drilled.report;
      expect(runs.map(({ restoration }) => restoration)).toEqual([
        { proved: true, differences: [] },
      ]);
      expect(faultsInForce()).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "one packet in ten is lost, and traffic stays where it was",
    async () => {
      const fault = { kind: "loss", cluster: "west", percent: 10 };
      const drilled = await runDrill(lab, "loss", { fault });
      say("loss", drilled);
      // Requests that lose a packet are late or lost; what must not happen is a failover.
      const moves = drilled.report.runs.flatMap(({ timeline }) =>
        timeline.filter(({ what }) => what === "detected" || what === "decided"),
      );
      expect(moves).toEqual([]);
    },
    LIMIT_MS,
  );
});

describe("faults of daemons", () => {
  test.each(["etcd-kill", "apiserver-kill", "nats-kill", "stale-cluster"])(
    "%s costs nobody a request",
    async (kind) => {
      const fault = { kind, cluster: "west" };
      const drilled = await runDrill(lab, kind, { fault, failback: "30s" });
      say(kind, drilled);
      expect(verdictOf(drilled.report)).toEqual(["PASS", []]);
      await eventually(isSteady, { limitMs: LIMIT_MS, pollMs: 500 });
    },
    LIMIT_MS,
  );
});

describe("a drain", () => {
  test(
    "moves every new connection, loses none, and is taken back",
    async () => {
      const fault = { kind: "drain", cluster: "west" };
      const drilled = await runDrill(lab, "drain", { fault });
      say("drain", drilled);
      expect(verdictOf(drilled.report)).toEqual(["PASS", []]);
      const during = cartOf(drilled.report).buckets.filter(
        ({ atMs }) => atMs > 2_000 && atMs < 2_900,
      );
      expect(during.flatMap(({ answered }) => answered["west"] ?? [])).toEqual([]);
      expect(mustSucceed(await lab.mesh(["drain", "list"]))).toContain("No drain is in force");
    },
    LIMIT_MS,
  );
});

describe("what is not done", () => {
  test(
    "a drill that the survivors could not carry, and a file that is wrong in a line",
    async () => {
      const fault = { kind: "cluster-black-hole", cluster: "north" };
      const { report, result } = await runDrill(lab, "too-much", { fault });
      expect([report.verdict, result.status]).toEqual(["CAPACITY_CHECK_FAILED", 1]);
      expect(report.runs[0]?.reasons.join()).toContain("shop/solo");
      const file = join(lab.home, "wrong.yaml");
      await writeFile(
        file,
        "version: 1\nname: wrong\nfault:\n  kind: earthquake\n  cluster: west\n",
      );
      const wrong = await lab.mesh(["drill", "run", file]);
      expect(wrong.status).toBe(2);
      expect(wrong.stderr).toContain(`${file}:4:`);
      expect(faultsInForce()).toBe(0);
    },
    LIMIT_MS,
  );
});

describe("history", () => {
  test(
    "`mesh status` says which failover was drilled, and which never was",
    async () => {
      // Sessions that a drill has cut come back at their own pace.
      const isInSync = async (): Promise<boolean> => (await lab.mesh(["status"])).status === 0;
      await eventually(isInSync, { limitMs: LIMIT_MS, pollMs: 1_000 });
      // By what the clusters know; this machine has reports of its own.
      const reports = join(lab.home, "drills");
      await rename(reports, `${reports}.away`);
      const asJson = mustSucceed(await lab.mesh(["status", "--output", "json"]));
      const text = mustSucceed(await lab.mesh(["status"]));
      await rename(`${reports}.away`, reports);
      const told = JSON.parse(asJson) as {
        drills: { problem: string; failovers: Record<"service" | "from" | "state", string>[] };
      }[];
      expect(told.map(({ drills }) => drills.problem)).toEqual(["", "", ""]);
      const carts = told.flatMap(({ drills }) =>
        drills.failovers.filter(({ service }) => service === "shop/cart"),
      );
      const states = new Set(carts.map(({ from, state }) => `${from} ${state}`));
      expect([...states].sort()).toEqual([
        "east never-drilled",
        "north never-drilled",
        "west fresh",
      ]);
      expect(text).toContain("! failover: of 6 configured, 4 never drilled: shop/cart away from ");
    },
    LIMIT_MS,
  );

  test(
    "a machine that has no reports takes them over from the stream; figures are compared",
    async () => {
      await rm(join(lab.home, "drills"), { recursive: true });
      const list = await lab.mesh(["drill", "list", "--context", "east", "--output", "json"]);
      const ids = (JSON.parse(mustSucceed(list)) as { id: string }[]).map(({ id }) => id);
      expect(ids.some((id) => id.startsWith("black-hole-"))).toBe(true);
      const compared = await lab.mesh(["drill", "compare", "black-hole", "refuse"]);
      expect(compared.status).toBe(1);
      expect(compared.stdout).toContain("different definitions");
      const shown = await lab.mesh(["drill", "show", "black-hole"]);
      expect([shown.status, shown.stdout]).toEqual([0, expect.stringContaining("PASS")]);
    },
    LIMIT_MS,
  );
});

describe("a drill that does not go as planned", () => {
  test(
    "refuses another beside it, and ends when something fails for real",
    async () => {
      const running = await beginDrill("interrupted");
      const ended = collect(running);
      const fault = { kind: "cluster-refuse", cluster: "east" };
      const second = await lab.mesh(["drill", "run", await writeDrill(lab, "second", { fault })]);
      expect(second.status).toBe(1);
      expect(second.stderr).toContain('"interrupted-');
      expect(second.stderr).toContain("is under way");
      await cutUnderlay(host.plan, { where: "north", direction: "both" }, never);
      const report = parseReport(await ended);
      await healUnderlay(host.plan, never);
      const [verdict, reasons] = verdictOf(report);
      expect(verdict).toBe("INTERRUPTED");
      expect(reasons[0]).toContain("north");
      expect(faultsInForce()).toBe(0);
      await eventually(isSteady, { limitMs: LIMIT_MS, pollMs: 500 });
    },
    LIMIT_MS,
  );

  test(
    "ends by itself when everything is dead, and the cluster answers again",
    async () => {
      const pod = (await listPods(host)).find(
        ({ cluster, name }) => cluster === "west" && name === "cart-1",
      );
      const targets = (pod?.addresses ?? []).map((address) =>
        address.includes(":") ? `tcp:[${address}]:8080` : `tcp:${address}:8080`,
      );
      const direct = await startClient(host, { targets, intervalMs: 20 });
      const east = findCluster(host.plan, "east");
      const served = await startClient(host, {
        targets: serviceTargets(east, CART),
        intervalMs: 20,
      });
      const wait = { limitMs: LIMIT_MS, what: "the faulted cluster answers", signal: never };
      try {
        await direct.waitUntil(
          (records) => records.some(({ answer }) => answer !== undefined),
          wait,
        );
        const coordinator = await beginDrill("all-dead");
        const ended = collect(coordinator);
        await killWithChildren(coordinator.pid ?? 0);
        const killed = await killDaemons(host, () => true);
        expect(killed).toBeGreaterThanOrEqual(CLUSTERS.length * 4);
        const deadAtMs = systemClock.nowMs();
        await ended;
        // Nobody is there any more who could renew it or take it away.
        expect(faultsInForce()).toBeGreaterThan(0);
        await eventually(() => faultsInForce() === 0, { limitMs: FAULT_TTL_MS, pollMs: 20 });
        const freeAtMs = systemClock.nowMs();
        await direct.waitUntil(
          (records) => records.some((one) => one.sentAtMs > deadAtMs && one.answer !== undefined),
          wait,
        );
        const after = direct.records.filter(({ sentAtMs }) => sentAtMs > deadAtMs);
        const first = after.find(({ answer }) => answer !== undefined);
        expect(first?.answer).toBe("west/cart-1");
        process.stderr.write(
          `everything dead: the fault was over after ${freeAtMs - deadAtMs} ms, ` +
            `the first answer was to a request ${Math.round((first?.sentAtMs ?? 0) - deadAtMs)} ms after it\n`,
        );
        mustSucceed(await lab.up(["--clusters", CLUSTERS.join(","), "--nodes", "1"]));
        const upAtMs = systemClock.nowMs();
        await served.waitUntil(
          (records) =>
            records.some(
              (one) => one.sentAtMs > upAtMs && one.answer?.startsWith("west/") === true,
            ),
          wait,
        );
      } finally {
        await Promise.all([direct.stop(), served.stop()]);
      }
      const listed = mustSucceed(await lab.mesh(["drill", "list"]));
      expect(listed).toMatch(/all-dead-.*INTERRUPTED/);
    },
    LIMIT_MS,
  );
});
