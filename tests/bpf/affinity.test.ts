// Session affinity: when a client keeps its backend, and when its session ends.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { openDatapath, type Datapath } from "../../bpf/datapath.ts";
import { ClusterHealth } from "../../bpf/gen/layout.ts";
import { startClient, startServer, tally, type Client, type Server } from "./calls.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { HEALTHY_CLUSTER, putService, type TestBackend, type TestGroup } from "./service-rows.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const SERVICE = { id: 1, host: "10.96.0.1", port: 80, protocol: "tcp" } as const;

let scratch: Scratch;
let datapath: Datapath;
let client: Client;
let servers: readonly Server[];

beforeAll(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
  client = await startClient(scratch.cgroupPath);
  servers = await Promise.all(["0", "1", "2", "3"].map((name) => startServer(name, "127.0.0.1")));
});

afterEach(() => {
  for (const [key] of datapath.maps.affinity.entries()) datapath.maps.affinity.delete(key);
  for (const id of [1, 2]) datapath.maps.clusterState.put(id, HEALTHY_CLUSTER);
});

afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  for (const server of servers ?? []) await server[Symbol.asyncDispose]();
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

function serve(groups: readonly TestGroup[], affinitySeconds = 3600): void {
  putService(datapath.maps, { ...SERVICE, affinitySeconds, groups });
}

function server(name: string): Server {
  const found = servers.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no server "${name}"`);
  return found;
}

async function call(times = 1): Promise<Record<string, number>> {
  const { host, port } = SERVICE;
  return tally(await client.call({ kind: "tcp", host, port, times }));
}

/** The name of the backend that all of some calls reached. */
async function sessionBackend(): Promise<string> {
  const names = Object.keys(await call(20));
  expect(names).toHaveLength(1);
  return names[0] ?? "";
}

/** Ages the client's session by the map, in place of waiting. */
function ageSession(seconds: number): void {
  for (const [key, session] of datapath.maps.affinity.entries())
    datapath.maps.affinity.put(key, {
      ...session,
      lastUsedNs: session.lastUsedNs - BigInt(seconds) * 1_000_000_000n,
    });
}

describe("session affinity", () => {
  test("keeps a client's backend", async () => {
    serve([{ clusterId: 1, backends: servers }]);
    await sessionBackend();
    expect(datapath.maps.counters.read().get("affinityKept")).toBe(19n);
  });

  test("ends after the time-out, counted from the last call", async () => {
    serve([{ clusterId: 1, backends: servers }], 100);
    const first = await sessionBackend();
    ageSession(99);
    expect(await call()).toEqual({ [first]: 1 });
    const kept = datapath.maps.counters.read().get("affinityKept");
    ageSession(101);
    await call();
    expect(datapath.maps.counters.read().get("affinityKept")).toBe(kept);
  });

  test("ends when the backend is down", async () => {
    serve([{ clusterId: 1, backends: servers }]);
    const first = await sessionBackend();
    const backends = servers.map((one): TestBackend => ({ ...one, down: one.name === first }));
    serve([{ clusterId: 1, backends }]);
    expect(await sessionBackend()).not.toBe(first);
  });

  test("ends when the backend has left the service, though it still exists", async () => {
    serve([{ clusterId: 1, backends: servers }]);
    const first = await sessionBackend();
    serve([{ clusterId: 1, backends: servers.filter(({ name }) => name !== first) }]);
    expect(await sessionBackend()).not.toBe(first);
  });

  test("survives a move of the backend to another slot", async () => {
    serve([{ clusterId: 1, backends: servers }]);
    const first = await sessionBackend();
    const others = servers.filter(({ name }) => name !== first);
    for (let slot = 0; slot < servers.length; slot++) {
      serve([{ clusterId: 1, backends: others.toSpliced(slot, 0, server(first)) }]);
      expect(await sessionBackend()).toBe(first);
    }
  });

  test("ends when the cluster cannot serve, and is not taken up again", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: servers.slice(0, 2) },
      { clusterId: 2, tier: 1, backends: servers.slice(2) },
    ]);
    const east = await sessionBackend();
    datapath.maps.clusterState.put(1, { ...HEALTHY_CLUSTER, healthIpv4: ClusterHealth.down });
    const west = await sessionBackend();
    expect(["2", "3"]).toContain(west);
    expect(west).not.toBe(east);
    datapath.maps.clusterState.put(1, HEALTHY_CLUSTER);
    // A session exists so that its client stays.
    expect(await sessionBackend()).toBe(west);
  });

  test("ends when the cluster's group is taken out", async () => {
    const east = servers.slice(0, 2);
    const west = { clusterId: 2, tier: 1, backends: servers.slice(2) };
    serve([{ clusterId: 1, backends: east }, west]);
    expect(["0", "1"]).toContain(await sessionBackend());
    serve([{ clusterId: 1, weight: 0, backends: east }, west]);
    expect(["2", "3"]).toContain(await sessionBackend());
  });

  test("keeps its backend in a cluster that yields, where no other can serve", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: servers },
      { clusterId: 2, tier: 1, backends: [{ ...server("0"), down: true }] },
    ]);
    const first = await sessionBackend();
    const lastResort = { ...HEALTHY_CLUSTER, healthIpv4: ClusterHealth.lastResort };
    datapath.maps.clusterState.put(1, lastResort);
    for (let i = 0; i < 10; i++) expect(await sessionBackend()).toBe(first);
  });

  test("leaves a cluster that yields for one that does not", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: servers.slice(0, 2) },
      { clusterId: 2, tier: 1, backends: servers.slice(2) },
    ]);
    expect(["0", "1"]).toContain(await sessionBackend());
    const lastResort = { ...HEALTHY_CLUSTER, healthIpv4: ClusterHealth.lastResort };
    datapath.maps.clusterState.put(1, lastResort);
    const west = await sessionBackend();
    expect(["2", "3"]).toContain(west);
    datapath.maps.clusterState.put(1, HEALTHY_CLUSTER);
    expect(await sessionBackend()).toBe(west);
  });

  test("moves a client at most once by a drain", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: servers.slice(0, 1) },
      { clusterId: 2, tier: 1, backends: servers.slice(1, 2) },
    ]);
    for (let percent = 0; percent <= 100; percent += 10) {
      datapath.maps.clusterState.put(1, { ...HEALTHY_CLUSTER, drainedPercent: percent });
      await sessionBackend();
    }
    expect(await sessionBackend()).toBe("1");
  });
});
