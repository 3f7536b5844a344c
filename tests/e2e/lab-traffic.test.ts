// The main job on real parts: a pod reaches a global service's backends in both clusters, and the
// death of every agent, apiserver and etcd changes nothing for it (invariants 1, 2 and 3).
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openDatapathMaps } from "../../bpf/datapath.ts";
import { labNodes } from "../../deploy/lab/plan.ts";
import { createPod, type PodHost } from "../../deploy/lab/pods.ts";
import {
  clusterOfAnswer,
  summariseRequests,
  type RequestRecord,
} from "../../deploy/lab/requests.ts";
import type { SteadyClient } from "../../deploy/lab/steady-client.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  cartPod,
  cartTargets,
  createTestLab,
  deployCart,
  killDaemons,
  mustSucceed,
  never,
  startClient,
  UP_LIMIT_MS,
} from "./test-lab.ts";

const LIMIT_MS = 120_000;
const BACKENDS = ["east/cart-1", "east/cart-2", "west/cart-1", "west/cart-2"];
const lab = createTestLab("traffic");
let host: PodHost;

beforeAll(async () => {
  mustSucceed(await lab.up());
  mustSucceed(await lab.mesh(["connect", "east", "west"]));
  host = await lab.open();
  await deployCart(host);
  await using client = await disposableClient({ intervalMs: 10 });
  // Every path is programmed once the last answers on each have come from all backends.
  await client.waitUntil((records) => allBackends(records.slice(-200)), {
    limitMs: LIMIT_MS,
    what: "shop/cart is programmed",
    signal: never,
  });
}, UP_LIMIT_MS);

afterAll(() => lab.remove(), LIMIT_MS);

describe("a global service", () => {
  test(
    "is answered by every backend of both clusters over TCP and UDP, IPv4 and IPv6",
    async () => {
      for (const target of cartTargets(host)) {
        await using client = await disposableClient({ targets: [target], intervalMs: 5 });
        await client.waitUntil((records) => records.length >= 100, waiting("100 requests"));
        const { byBackend, failures } = summariseRequests(client.records);
        expect([target, failures, [...byBackend.keys()]]).toEqual([target, 0, BACKENDS]);
      }
    },
    LIMIT_MS,
  );
});

describe("the CNI plugin", () => {
  test(
    "attaches a pod that reaches the service in both clusters while its node's agent is dead",
    async () => {
      expect(await killDaemons(host, ({ name }) => name === "east-node1.agent")).toBe(1);
      const late = cartPod({ cluster: "east", node: "node1", name: "late" });
      const workload = { kind: "command", argv: ["sleep", "infinity"] } as const;
      await createPod(host, { ...late, labels: { app: "late" }, workload, ports: [] }, never);
      await using client = await disposableClient({ pod: "east/shop/late", intervalMs: 10 });
      await client.waitUntil((records) => records.length >= 200, waiting("200 requests"));
      expect(summariseRequests(client.records)).toMatchObject({ failures: 0 });
      expect(allBackends(client.records)).toBe(true);
      mustSucceed(await lab.up());
    },
    LIMIT_MS,
  );
});

describe("kill -9 of every agent, apiserver and etcd", () => {
  test(
    "stops no connection, moves no traffic, and is repaired by lab up without a wrong deletion",
    async () => {
      await using fresh = await disposableClient({ intervalMs: 10 });
      const tcp = cartTargets(host).filter((target) => target.startsWith("tcp:"));
      await using kept = await disposableClient({ targets: tcp, intervalMs: 50, keep: true });
      const settled = { from: fresh.records.length };
      await fresh.waitUntil(({ length }) => length >= 400, waiting("400 requests before"));
      await kept.waitUntil(({ length }) => length >= 10, waiting("both kept connections"));
      const before = sharesByCluster(fresh.records.slice(settled.from));
      const rows = readRows(host);

      // Four agents, two apiservers, two etcds, two nats-servers.
      expect(await killDaemons(host, () => true)).toBe(10);
      const dead = { from: fresh.records.length, keptFrom: kept.records.length };
      await fresh.waitUntil(({ length }) => length >= dead.from + 600, waiting("600 while dead"));
      expect(readRows(host)).toEqual(rows);
      const during = sharesByCluster(fresh.records.slice(dead.from));
      for (const cluster of ["east", "west"]) {
        expect(Math.abs((during.get(cluster) ?? 0) - (before.get(cluster) ?? 0))).toBeLessThan(
          0.15,
        );
      }

      const repair = lab.up();
      const fewest = await watchBackends(host, repair);
      mustSucceed(await repair);
      expect(fewest).toBe(BACKENDS.length);
      const back = fresh.records.length;
      await fresh.waitUntil(({ length }) => length >= back + 200, waiting("200 afterwards"));
      await eventually(() => expect(readRows(host)).toEqual(rows) ?? true, { limitMs: LIMIT_MS });
      mustSucceed(await lab.mesh(["lab", "status", "--name", lab.name]));

      expect(summariseRequests(fresh.records)).toMatchObject({ failures: 0 });
      expect(allBackends(fresh.records.slice(back))).toBe(true);
      const connections = summariseRequests(kept.records.slice(dead.keptFrom));
      expect(connections).toMatchObject({ failures: 0 });
      expect(connections.requests).toBeGreaterThan(0);
      // One connection a target has one backend.
      expect(summariseRequests(kept.records).byBackend.size).toBeLessThanOrEqual(tcp.length);
    },
    LIMIT_MS,
  );
});

async function disposableClient(options: {
  targets?: readonly string[];
  pod?: string;
  intervalMs: number;
  keep?: boolean;
}): Promise<SteadyClient & AsyncDisposable> {
  const client = await startClient(host, { targets: cartTargets(host), ...options });
  return {
    ...client,
    async [Symbol.asyncDispose]() {
      await client.stop();
    },
  };
}

function waiting(what: string): { limitMs: number; what: string; signal: AbortSignal } {
  return { limitMs: LIMIT_MS, what, signal: never };
}

function allBackends(records: readonly RequestRecord[]): boolean {
  const { byBackend, failures } = summariseRequests(records);
  return failures === 0 && byBackend.size === BACKENDS.length;
}

/** Cluster → its part of all answers. */
function sharesByCluster(records: readonly RequestRecord[]): Map<string, number> {
  const shares = new Map<string, number>();
  for (const record of records) {
    const cluster = clusterOfAnswer(record);
    shares.set(cluster, (shares.get(cluster) ?? 0) + 1 / records.length);
  }
  return shares;
}

/** Node → what decides where its pods' traffic goes, in a form that can be compared. */
function readRows(lab: PodHost): Record<string, unknown> {
  const nodes = labNodes(lab.plan).map(({ name, bpfRoot }) => {
    using maps = openDatapathMaps(bpfRoot);
    const tables = {
      ipcache: maps.ipcache,
      endpoints: maps.endpoints,
      services: maps.services,
      groups: maps.groups,
      backends: maps.backends,
    };
    const rows = Object.entries(tables).map(([table, map]) => [
      table,
      [...map.entries()].map(toText).sort(),
    ]);
    return [name, Object.fromEntries(rows)];
  });
  return Object.fromEntries(nodes) as Record<string, unknown>;
}

function toText(row: unknown): string {
  return JSON.stringify(row, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
    return typeof value === "bigint" ? value.toString() : value;
  });
}

/** The fewest backends that east's first node had for one frontend until `work` was done. */
async function watchBackends(lab: PodHost, work: Promise<unknown>): Promise<number> {
  const [node] = labNodes(lab.plan);
  using maps = openDatapathMaps(node?.bpfRoot ?? "");
  const state = { done: false };
  const end = work.finally(() => (state.done = true));
  let fewest = Number.POSITIVE_INFINITY;
  await eventually(
    () => {
      const counts = new Map<number, number>();
      for (const [{ serviceId }, { backendCount }] of maps.groups.entries()) {
        counts.set(serviceId, (counts.get(serviceId) ?? 0) + backendCount);
      }
      fewest = Math.min(fewest, ...counts.values());
      return state.done;
    },
    { limitMs: LIMIT_MS },
  );
  await end;
  return fewest;
}
