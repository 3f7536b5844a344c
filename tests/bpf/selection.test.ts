// Which backend a call is given: tiers, weights, the state of clusters and backends. Shares are
// checked with a tolerance of six standard deviations, so that chance never fails a test.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { openDatapath, type Datapath } from "../../bpf/datapath.ts";
import { ClusterDrill, ClusterHealth, type ClusterState } from "../../bpf/gen/layout.ts";
import { eventually } from "../fakes/eventually.ts";
import { startClient, startServer, tally, type Client, type Server } from "./calls.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { HEALTHY_CLUSTER, putService, type TestGroup } from "./service-rows.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const HOST = "10.96.0.1";
const HOST_IPV6 = "fd00:96::1";
const PORT = 80;
const DEVIATIONS = 6;

let scratch: Scratch;
let datapath: Datapath;
let client: Client;
/** One server a cluster: east is cluster 1, west 2, north 3. */
let east: Server;
let west: Server;
let north: Server;
let eastIpv6: Server;
let westIpv6: Server;

beforeAll(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
  client = await startClient(scratch.cgroupPath);
  east = await startServer("east", "127.0.0.1");
  west = await startServer("west", "127.0.0.1");
  north = await startServer("north", "127.0.0.1");
  eastIpv6 = await startServer("east six", "::1");
  westIpv6 = await startServer("west six", "::1");
});

afterEach(() => {
  for (let clusterId = 0; clusterId < 512; clusterId++)
    datapath.maps.clusterState.put(clusterId, HEALTHY_CLUSTER);
});

afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  for (const server of [east, west, north, eastIpv6, westIpv6])
    await server?.[Symbol.asyncDispose]();
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

function serve(groups: readonly TestGroup[]): void {
  putService(datapath.maps, { id: 1, host: HOST, port: PORT, protocol: "tcp", groups });
}

function setCluster(clusterId: number, state: Partial<ClusterState>): void {
  datapath.maps.clusterState.put(clusterId, { ...HEALTHY_CLUSTER, ...state });
}

async function call(times: number, host = HOST): Promise<Record<string, number>> {
  return tally(await client.call({ kind: "tcp", host, port: PORT, times }));
}

function expectShare(count: number | undefined, share: number, times: number): void {
  const deviation = Math.sqrt(times * share * (1 - share));
  expect(Math.abs((count ?? 0) - times * share)).toBeLessThan(DEVIATIONS * deviation);
}

/** The kernel's monotonic clock, which is Node's as well. */
function kernelNowNs(): bigint {
  return process.hrtime.bigint();
}

describe("selection", () => {
  test("uses only the best tier that can serve", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
      { clusterId: 3, tier: 2, backends: [north] },
    ]);
    expect(await call(20)).toEqual({ east: 20 });
    setCluster(1, { healthIpv4: ClusterHealth.down });
    expect(await call(20)).toEqual({ west: 20 });
    setCluster(2, { healthIpv4: ClusterHealth.down });
    expect(await call(20)).toEqual({ north: 20 });
    setCluster(3, { healthIpv4: ClusterHealth.down });
    expect(await call(2)).toEqual({ ECONNREFUSED: 2 });
    setCluster(1, { healthIpv4: ClusterHealth.suspect });
    expect(await call(20)).toEqual({ east: 20 });
  });

  test("splits a tier by weight", async () => {
    serve([
      { clusterId: 1, weight: 70, backends: [east] },
      { clusterId: 2, weight: 20, backends: [west] },
      { clusterId: 3, weight: 10, backends: [north] },
    ]);
    const times = 1000;
    const counts = await call(times);
    expectShare(counts["east"], 0.7, times);
    expectShare(counts["west"], 0.2, times);
    expectShare(counts["north"], 0.1, times);
  });

  test("splits the weight of a cluster that is down among the others of its tier", async () => {
    serve([
      { clusterId: 1, weight: 50, backends: [east] },
      { clusterId: 2, weight: 30, backends: [west] },
      { clusterId: 3, weight: 20, backends: [north] },
    ]);
    setCluster(1, { healthIpv4: ClusterHealth.down });
    const times = 600;
    const counts = await call(times);
    expect(counts["east"]).toBeUndefined();
    expectShare(counts["west"], 0.6, times);
  });

  test("takes no group without weight or without backends", async () => {
    serve([
      { clusterId: 1, weight: 0, backends: [east] },
      { clusterId: 2, weight: 5, backends: [] },
      { clusterId: 3, tier: 1, backends: [north] },
    ]);
    expect(await call(20)).toEqual({ north: 20 });
  });

  test("spreads over the backends of a cluster, without those that are down", async () => {
    serve([{ clusterId: 1, backends: [east, { ...west, down: true }, north] }]);
    const counts = await call(200);
    expect(Object.keys(counts).sort()).toEqual(["east", "north"]);
    serve([{ clusterId: 1, backends: [{ ...east, down: true }] }]);
    const before = datapath.maps.drops.read().get("noBackend") ?? 0n;
    expect(await call(1)).toEqual({ ECONNREFUSED: 1 });
    expect(datapath.maps.drops.read().get("noBackend")).toBe(before + 1n);
  });

  test("drains a cluster by its share", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    setCluster(1, { drainedPercent: 30 });
    const times = 600;
    expectShare((await call(times))["west"], 0.3, times);
    setCluster(1, { drainedPercent: 100 });
    expect(await call(20)).toEqual({ west: 20 });
  });

  test("uses a drained cluster where there is no other, however far it is drained", async () => {
    serve([{ clusterId: 1, backends: [east] }]);
    setCluster(1, { drainedPercent: 50 });
    expect(await call(50)).toEqual({ east: 50 });
    setCluster(1, { drainedPercent: 100 });
    expect(await call(20)).toEqual({ east: 20 });
    serve([
      { clusterId: 1, backends: [east] },
      { clusterId: 2, backends: [west] },
    ]);
    expect(await call(20)).toEqual({ west: 20 });
    setCluster(2, { healthIpv4: ClusterHealth.down });
    expect(await call(20)).toEqual({ east: 20 });
  });

  test("ends a drain by the kernel's clock", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    const drain = { drainedPercent: 100 };
    setCluster(1, { ...drain, drainExpiresNs: kernelNowNs() + 3_600_000_000_000n });
    expect(await call(10)).toEqual({ west: 10 });
    const expires = kernelNowNs() + 300_000_000n;
    setCluster(1, { ...drain, drainExpiresNs: expires });
    await eventually(async () => (await call(1))["east"] === 1);
    expect(kernelNowNs()).toBeGreaterThanOrEqual(expires);
  });

  test("asks a cluster for the health of the frontend's family", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    setCluster(1, { healthIpv6: ClusterHealth.down, heldBackPercentIpv6: 100 });
    expect(await call(10)).toEqual({ east: 10 });
    const groups = [
      { clusterId: 1, tier: 0, backends: [eastIpv6] },
      { clusterId: 2, tier: 1, backends: [westIpv6] },
    ];
    putService(datapath.maps, { id: 2, host: HOST_IPV6, port: PORT, protocol: "tcp", groups });
    expect(await call(10, HOST_IPV6)).toEqual({ "west six": 10 });
    setCluster(1, { healthIpv4: ClusterHealth.down });
    expect(await call(10, HOST_IPV6)).toEqual({ "east six": 10 });
  });

  test("uses a cluster of last resort only where no other can serve", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    setCluster(1, { healthIpv4: ClusterHealth.lastResort });
    expect(await call(20)).toEqual({ west: 20 });
    setCluster(2, { healthIpv4: ClusterHealth.down });
    expect(await call(20)).toEqual({ east: 20 });
    setCluster(2, { healthIpv4: ClusterHealth.lastResort });
    expect(await call(20)).toEqual({ east: 20 });
  });

  test("gives a cluster that returns its share step by step", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    const times = 600;
    setCluster(1, { heldBackPercentIpv4: 90 });
    expectShare((await call(times))["east"], 0.1, times);
    setCluster(2, { healthIpv4: ClusterHealth.down });
    expect(await call(20)).toEqual({ east: 20 });
  });

  test("passes over a group of which every backend is down or gone", async () => {
    const dead = { ...east, down: true };
    serve([
      { clusterId: 1, tier: 0, backends: [dead, { ...north, down: true }] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    expect(await call(20)).toEqual({ west: 20 });
    // Empty slots: another service's backends, removed under the group.
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    datapath.maps.backendSlots.delete({ serviceId: 1, clusterId: 1, slot: 0 });
    expect(await call(20)).toEqual({ west: 20 });
  });

  test("splits what a dead group leaves by the others' weights, and goes on to the last tier", async () => {
    serve([
      { clusterId: 1, weight: 90, backends: [{ ...east, down: true }] },
      { clusterId: 2, weight: 30, backends: [west] },
      { clusterId: 3, weight: 10, backends: [north] },
    ]);
    const times = 400;
    const counts = await call(times);
    expect(Object.keys(counts).sort()).toEqual(["north", "west"]);
    // One in ten is drawn without the dead group, nine are drawn again: the same shares.
    expectShare(counts["north"], 0.25, times);
    const dead = Array.from({ length: 510 }, (_, i) => ({
      clusterId: i + 1,
      tier: Math.floor(i / 100),
      backends: [{ ...east, down: true }],
    }));
    serve([...dead, { clusterId: 511, tier: 9, backends: [north] }]);
    expect(await call(10)).toEqual({ north: 10 });
  });

  test("uses a yielding cluster's live backend before a dead group", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [{ ...west, down: true }] },
    ]);
    setCluster(1, { healthIpv4: ClusterHealth.lastResort });
    expect(await call(20)).toEqual({ east: 20 });
  });

  test("ends a drill by the kernel's clock, without anybody's help", async () => {
    serve([
      { clusterId: 1, tier: 0, backends: [east] },
      { clusterId: 2, tier: 1, backends: [west] },
    ]);
    setCluster(1, { drill: ClusterDrill.down, drillExpiresNs: kernelNowNs() - 1n });
    expect(await call(10)).toEqual({ east: 10 });
    setCluster(1, { drill: ClusterDrill.down, drillExpiresNs: kernelNowNs() + 3_600_000_000_000n });
    expect(await call(10)).toEqual({ west: 10 });
    const expires = kernelNowNs() + 300_000_000n;
    setCluster(1, { drill: ClusterDrill.down, drillExpiresNs: expires });
    await eventually(async () => (await call(1))["east"] === 1);
    expect(kernelNowNs()).toBeGreaterThanOrEqual(expires);
  });

  test("works with as many groups as there are clusters", async () => {
    const groups = Array.from({ length: 511 }, (_, i) => ({ clusterId: i + 1, backends: [east] }));
    for (let clusterId = 1; clusterId < 511; clusterId++)
      setCluster(clusterId, { healthIpv4: ClusterHealth.down });
    serve(groups.with(510, { clusterId: 511, backends: [west] }));
    expect(await call(20)).toEqual({ west: 20 });
  });
});
