// Policy where it hurts, on real parts: two clusters, pods of one of which may speak to pods of the
// other, strangers beside them, and agents, apiservers and etcds that die. Which packets a policy
// allows is policy-truth.test.ts; here nothing may open and nothing may close while things happen.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { awaitReady, labDaemons, startDaemons } from "../../deploy/lab/daemons.ts";
import { deleteManifest, writeManifest, type Manifest } from "../../deploy/lab/manifests.ts";
import { findCluster } from "../../deploy/lab/plan.ts";
import { createPod, deletePod, type PodHost, type PodSpec } from "../../deploy/lab/pods.ts";
import { readAliveProcess } from "../../deploy/lab/processes.ts";
import type { RequestRecord } from "../../deploy/lab/requests.ts";
import type { SteadyClient } from "../../deploy/lab/steady-client.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  cartPod,
  createTestLab,
  deployCart,
  killDaemons,
  mustSucceed,
  never,
  startClient,
} from "./test-lab.ts";

const LIMIT_MS = 180_000;
/** A dropped request is given up after this long; nothing here takes a tenth of it. */
const TIMEOUT_MS = 500;
const INTERVAL_MS = 20;
const STREAK = 60;
const CLUSTER_LABEL = "io.cilium.k8s.policy.cluster";

const lab = createTestLab("policy");
let host: PodHost;
/** West's backend, over both families and protocols. */
let targets: string[];
let allowed: SteadyClient;
let stranger: SteadyClient;

beforeAll(async () => {
  mustSucceed(await lab.up(["--clusters", "east,west", "--nodes", "1"]));
  mustSucceed(await lab.mesh(["connect", "east", "west"]));
  host = await lab.open();
  await deployCart(host);
  await createPod(host, clientPod("east", "stranger"), never);
  const server = await createPod(
    host,
    cartPod({ cluster: "west", node: "node1", name: "cart-1" }),
    never,
  );
  targets = server.addresses.flatMap((address) => {
    const place = address.includes(":") ? `[${address}]:8080` : `${address}:8080`;
    return [`tcp:${place}`, `udp:${place}`];
  });
  allowed = await startClient(host, client("east/shop/client"));
  stranger = await startClient(host, client("east/shop/stranger"));
  // Without a policy everybody may.
  await Promise.all([allowed, stranger].map((one) => untilStreak(one, isAnswered)));
}, LIMIT_MS);

afterAll(async () => {
  await allowed?.stop();
  await stranger?.stop();
  await lab.remove();
}, LIMIT_MS);

describe("a policy of west that lets pods of east in by their labels", () => {
  test(
    "lets them in and nobody else",
    async () => {
      await applyPolicy("west", onlyClients());
      await untilStreak(stranger, isFailed);
      await untilStreak(allowed, isAnswered);
    },
    LIMIT_MS,
  );

  test(
    "holds while agents are dead, and when they come back",
    async () => {
      const from = marks();
      expect(await killDaemons(host, ({ kind }) => kind === "agent")).toBe(2);
      await untilSent(STREAK);
      await restartAgents();
      await untilSent(STREAK);
      expectUnchanged(from, "agents killed and started again");
    },
    LIMIT_MS,
  );

  test(
    "holds after a restart of the agent while the other cluster cannot be asked",
    async () => {
      const from = marks();
      expect(await killDaemons(host, ({ name }) => name === "east-control.apiserver")).toBe(3);
      expect(
        await killDaemons(host, ({ kind, name }) => kind === "agent" && name.startsWith("west")),
      ).toBe(1);
      await restartAgents();
      await untilSent(2 * STREAK);
      expectUnchanged(from, "west's agent started again without east's control plane");
      mustSucceed(await lab.up(["--clusters", "east,west", "--nodes", "1"]));
      await untilSent(STREAK);
      expectUnchanged(from, "and with it again");
    },
    LIMIT_MS,
  );

  test(
    "that is taken away from somebody ends the connections that he has",
    async () => {
      const kept = await startClient(host, { ...client("east/shop/client"), keep: true });
      await untilStreak(kept, isAnswered);
      await applyPolicy("west", { ...onlyClients(), spec: nobody() });
      await untilStreak(kept, isFailed);
      await untilStreak(allowed, isFailed);
      await applyPolicy("west", onlyClients());
      await untilStreak(allowed, isAnswered);
      await kept.stop();
    },
    LIMIT_MS,
  );
});

describe("a pod that is new", () => {
  const RUNS = 5;

  test(
    "has its policy before its first packet: denied from the first on, allowed from the first on",
    async () => {
      const place = findCluster(host.plan, "west");
      const [own] = targets;
      if (own === undefined) throw new Error("There is no backend");
      await applyPolicy("west", egressOnly("may", [{ matchLabels: { app: "cart" } }]));
      await applyPolicy("west", egressOnly("may-not", []));
      await applyPolicy("west", onlyClients(["client", "may", "may-not"]));
      await untilStreak(allowed, isAnswered);
      const results = new Map<string, string[]>();
      for (let run = 0; run < RUNS; run++) {
        for (const app of ["may", "may-not"]) {
          const pod = triesAtOnce({ name: `${app}-${run}`, app, target: own });
          await createPod(host, pod, never);
          const log = join(host.plan.paths.logs, `west.pod.shop.${pod.name}.log`);
          const text = await eventually(async () => {
            const found = /^(reached|refused)$/m.exec(await readFile(log, "utf8").catch(() => ""));
            return found?.[1];
          });
          results.set(app, [...(results.get(app) ?? []), text]);
          await deletePod(host, pod, { graceMs: 0, signal: never });
        }
      }
      expect(Object.fromEntries(results)).toEqual({
        may: Array<string>(RUNS).fill("reached"),
        "may-not": Array<string>(RUNS).fill("refused"),
      });
      for (const name of ["may", "may-not"]) {
        const metadata = { name: `egress-${name}`, namespace: "shop" };
        await deleteManifest(clusterPaths(place.directory).manifests, { kind: CNP, metadata });
      }
    },
    LIMIT_MS,
  );
});

const CNP = "CiliumNetworkPolicy";

function client(pod: string) {
  return { pod, targets, intervalMs: INTERVAL_MS, timeoutMs: TIMEOUT_MS };
}

function clientPod(cluster: string, name: string): PodSpec {
  return {
    ...cartPod({ cluster, node: "node1", name }),
    labels: { app: name },
    workload: { kind: "command", argv: ["sleep", "infinity"] },
    ports: [],
  };
}

/** One try of one connection, as its first deed. */
function triesAtOnce(of: { name: string; app: string; target: string }): PodSpec {
  const [, address = "", port = ""] = /^tcp:(.*):(\d+)$/.exec(of.target) ?? [];
  const connect = `exec 3<>/dev/tcp/${address.replace(/[[\]]/g, "")}/${port}`;
  const script = `timeout 1 bash -c '${connect}' 2>/dev/null && echo reached || echo refused; sleep infinity`;
  return {
    ...clientPod("west", of.name),
    labels: { app: of.app },
    workload: { kind: "command", argv: ["bash", "-c", script] },
  };
}

function onlyClients(apps: readonly string[] = ["client"]): Manifest {
  const fromEndpoints = apps.map((app) => ({
    matchLabels: { app },
    matchExpressions: [{ key: CLUSTER_LABEL, operator: "Exists" }],
  }));
  return policyManifest("only-clients", { app: "cart" }, { ingress: [{ fromEndpoints }] });
}

function nobody(): object {
  return { endpointSelector: { matchLabels: { app: "cart" } }, ingress: [{ fromEndpoints: [] }] };
}

function egressOnly(app: string, toEndpoints: readonly object[]): Manifest {
  return policyManifest(`egress-${app}`, { app }, { egress: [{ toEndpoints }] });
}

function policyManifest(name: string, matchLabels: object, rules: object): Manifest {
  return {
    apiVersion: "cilium.io/v2",
    kind: CNP,
    metadata: { name, namespace: "shop" },
    spec: { endpointSelector: { matchLabels }, ...rules },
  };
}

async function applyPolicy(cluster: string, manifest: Manifest): Promise<void> {
  await writeManifest(clusterPaths(findCluster(host.plan, cluster).directory).manifests, manifest);
}

async function restartAgents(): Promise<void> {
  const agents = labDaemons(host.plan, host.cgroupRoot).filter(({ kind }) => kind === "agent");
  const environment = { clock: systemClock, signal: never };
  const dead = [];
  for (const agent of agents) {
    if ((await readAliveProcess(agent.recordFile)) === undefined) dead.push(agent);
  }
  await startDaemons(dead, environment);
  await Promise.all(dead.map((agent) => awaitReady(agent, environment)));
}

function isAnswered({ error }: RequestRecord): boolean {
  return error === undefined;
}

function isFailed({ error }: RequestRecord): boolean {
  return error !== undefined;
}

/** Until so many requests in a row came to that, over every way there is. */
async function untilStreak(
  one: SteadyClient,
  holds: (record: RequestRecord) => boolean,
): Promise<void> {
  const from = one.records.length;
  await one.waitUntil(
    (records) => {
      const last = records.slice(Math.max(from, records.length - STREAK));
      return last.length === STREAK && last.every(holds);
    },
    { limitMs: LIMIT_MS, what: "Requests come to what the policy says", signal: never },
  );
}

/** Until both have sent so many more. */
async function untilSent(count: number): Promise<void> {
  await Promise.all(
    [allowed, stranger].map((one) => {
      const from = one.records.length;
      return one.waitUntil((records) => records.length >= from + count, {
        limitMs: LIMIT_MS,
        what: "Requests go on",
        signal: never,
      });
    }),
  );
}

function marks(): { readonly allowed: number; readonly stranger: number } {
  return { allowed: allowed.records.length, stranger: stranger.records.length };
}

function expectUnchanged(from: ReturnType<typeof marks>, what: string): void {
  const lost = allowed.records.slice(from.allowed).filter(isFailed);
  const passed = stranger.records.slice(from.stranger).filter(isAnswered);
  process.stderr.write(
    `${what}: ${lost.length} of ${allowed.records.length - from.allowed} allowed requests lost, ` +
      `${passed.length} of ${stranger.records.length - from.stranger} denied ones let through\n`,
  );
  expect([lost, passed]).toEqual([[], []]);
}
