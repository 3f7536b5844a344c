// Connecting and disconnecting clusters with real etcds behind real certificates: what is written
// works, what fails is put back, and what is wrong is refused before anything is written.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../mesh/core/clock.ts";
import { connectClusters, type ConnectOptions } from "../../mesh/connect/connect.ts";
import { disconnectClusters } from "../../mesh/connect/disconnect.ts";
import { peerPaths, readReaders } from "../../mesh/connect/connection-files.ts";
import { createTestCluster, readTree, type TestCluster } from "../fakes/cluster.ts";

const signal = new AbortController().signal;
const observer = {
  onFindings: () => {},
  onPlan: () => {},
  onStep: () => {},
  onProgress: () => {},
  onRollback: () => {},
};
const options: ConnectOptions = { dryRun: false, clock: systemClock, observer, signal };
const clusters: TestCluster[] = [];
let [east, west, north] = [] as unknown as [TestCluster, TestCluster, TestCluster];

beforeAll(async () => {
  clusters.push(
    ...(await Promise.all([
      createTestCluster({ name: "east", id: 1, etcd: true }),
      createTestCluster({ name: "west", id: 2, etcd: true }),
      createTestCluster({ name: "north", id: 3, etcd: true }),
    ])),
  );
  [east, west, north] = clusters as [TestCluster, TestCluster, TestCluster];
}, 60_000);

afterAll(async () => {
  for (const cluster of clusters) await cluster.close();
});

function accesses(...members: TestCluster[]) {
  return members.map(({ access }) => access);
}

async function trees() {
  return Promise.all(clusters.map(({ directory }) => readTree(directory)));
}

describe("connectClusters()", () => {
  test("writes nothing in a dry run and tells the whole plan", async () => {
    const before = await trees();
    const result = await connectClusters(accesses(east, west), { ...options, dryRun: true });
    expect(result.outcome).toBe("planned");
    expect(result.steps).toHaveLength(4);
    expect(await trees()).toEqual(before);
  }, 60_000);

  test("puts both sides back byte for byte when they do not come in sync", async () => {
    const before = await trees();
    const deaf = {
      ...west.access,
      readPeers: () => Promise.resolve([]),
    };
    await expect(
      connectClusters([east.access, deaf], { ...options, verifyLimitMs: 500 }),
    ).rejects.toMatchObject({
      code: "deadline_exceeded",
      message: expect.stringContaining("west reads east: not noticed yet"),
    });
    expect(await trees()).toEqual(before);
  }, 60_000);

  test("connects three clusters, each with its own key, and then has nothing to do", async () => {
    const result = await connectClusters(accesses(east, west, north), options);
    expect(result).toMatchObject({ outcome: "connected", clusters: ["east", "west", "north"] });
    expect(result.steps).toHaveLength(12);
    expect(await readReaders(east.directory)).toEqual(["west", "north"]);
    const { mode } = await stat(peerPaths(east.directory, "west").key);
    expect(mode & 0o777).toBe(0o600);

    const before = await trees();
    const again = await connectClusters(accesses(east, west, north), options);
    expect(again).toMatchObject({ outcome: "connected", steps: [] });
    expect(await trees()).toEqual(before);
  }, 60_000);

  test("repairs exactly what is missing or broken", async () => {
    await rm(peerPaths(east.directory, "west").certificate);
    await writeFile(peerPaths(north.directory, "east").file, "endpoints: [");
    const result = await connectClusters(accesses(east, west, north), options);
    expect(result.steps).toMatchObject([
      { kind: "install-peer", at: "east", peer: "west" },
      { kind: "install-peer", at: "north", peer: "east" },
    ]);
  }, 60_000);

  test("refuses a cluster whose endpoint shows another cluster's certificate", async () => {
    const strange = await createTestCluster({ name: "strange", id: 9 });
    clusters.push(strange);
    const profile = {
      name: "strange",
      id: 9,
      etcdEndpoints: [west.etcd?.endpoint],
      joinEndpoint: "127.0.0.1:1",
    };
    await writeFile(join(strange.directory, "cluster.json"), JSON.stringify(profile));
    const before = await trees();
    const result = await connectClusters(accesses(east, strange), options);
    expect(result.outcome).toBe("refused");
    expect(result.findings).toMatchObject([
      { rule: "endpoint-untrusted", message: expect.stringContaining("tombolo-ca-west") },
    ]);
    expect(await trees()).toEqual(before);
  }, 60_000);

  test("refuses pod prefixes that overlap with a peer of a peer, before writing", async () => {
    const clash = await createTestCluster({
      name: "clash",
      id: 8,
      etcd: true,
      podPrefix: "10.2.0.128/25",
    });
    clusters.push(clash);
    const before = await trees();
    const result = await connectClusters(accesses(west, clash), options);
    expect(result.outcome).toBe("refused");
    expect(result.findings).toMatchObject([{ rule: "pod-prefix-overlap" }]);
    expect(await trees()).toEqual(before);
  }, 60_000);

  test("refuses an endpoint that nobody listens at", async () => {
    const absent = await createTestCluster({ name: "absent", id: 7 });
    clusters.push(absent);
    const result = await connectClusters(accesses(east, absent), options);
    expect(result.findings).toMatchObject([
      { rule: "endpoint-unreachable", message: expect.stringContaining("ECONNREFUSED") },
    ]);
  }, 60_000);
});

describe("disconnectClusters()", () => {
  const disconnect = { force: false, dryRun: false, onLosses: () => {}, signal };

  test("cleans both sides", async () => {
    const side = { access: east.access, cluster: "east" };
    const peerSide = { access: west.access, cluster: "west" };
    const result = await disconnectClusters(side, { ...disconnect, peer: "west", peerSide });
    expect(result).toMatchObject({ outcome: "disconnected", sides: ["east", "west"] });
    expect(await readReaders(east.directory)).toEqual(["north"]);
    await expect(stat(peerPaths(west.directory, "east").directory)).rejects.toMatchObject({
      code: "ENOENT",
    });
  }, 60_000);

  test("cleans the own side when the peer is gone, dead etcds and all", async () => {
    await north.etcd?.kill();
    await east.etcd?.kill();
    const side = { access: east.access, cluster: "east" };
    const result = await disconnectClusters(side, {
      ...disconnect,
      peer: "north",
      peerSide: undefined,
    });
    expect(result).toMatchObject({ outcome: "disconnected", sides: ["east"] });
    expect(result.losses[0]?.unknown).toMatch(/^Cannot /);
    expect(await readReaders(east.directory)).toEqual([]);
  }, 60_000);
});
