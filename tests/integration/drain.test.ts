// A drain from the file in which it is ordered to the datapath's rows in both clusters: two real
// apiservers with real etcds, and an agent on each etcd.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { ClusterDrainMap } from "../../agent/apply/cluster-drain.ts";
import { clusterStateMap } from "../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../bpf/memory-map.ts";
import { openClusterAccess } from "../../mesh/connect/context-access.ts";
import { connectClusters } from "../../mesh/connect/connect.ts";
import { createDirectoryDrainStore, type DrainStore } from "../../mesh/connect/drain-store.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import { createMemoryMaps, startAgent, type RunningAgent } from "../fakes/agent-node.ts";
import { createTestApiserver, smallCluster, type TestApiserver } from "../fakes/apiserver.ts";
import { testDrain } from "../fakes/drains.ts";
import { eventually } from "../fakes/eventually.ts";

const signal = new AbortController().signal;
const WEST_ID = 2;
let apiservers: readonly [TestApiserver, TestApiserver];
let agents: readonly RunningAgent[];
let rows: readonly ClusterDrainMap[];
let stores: readonly [DrainStore, DrainStore];

beforeAll(async () => {
  apiservers = await Promise.all([
    createTestApiserver({ name: "east", id: 1 }),
    createTestApiserver({ name: "west", id: WEST_ID }),
  ]);
  const [east, west] = apiservers;
  await east.manifest("cluster.yaml", smallCluster(1));
  await west.manifest("cluster.yaml", smallCluster(2));
  for (const apiserver of apiservers) apiserver.start();
  await Promise.all(apiservers.map((apiserver) => apiserver.ready()));
  const ignore = (): void => {};
  await connectClusters(
    apiservers.map(({ name, directory }) =>
      openClusterAccess(
        { context: name, directory },
        { clock: systemClock, random: Math.random, log: silentLogger },
      ),
    ),
    {
      dryRun: false,
      clock: systemClock,
      signal,
      observer: {
        onFindings: ignore,
        onPlan: ignore,
        onStep: ignore,
        onProgress: ignore,
        onRollback: ignore,
      },
    },
  );
  const open = ({ directory }: TestApiserver): DrainStore =>
    createDirectoryDrainStore(directory, { clock: systemClock });
  stores = [open(east), open(west)];
  rows = apiservers.map(() => createMemoryMap(clusterStateMap));
  agents = apiservers.map(({ name, store }, index) => {
    const clusterState = rows[index];
    return startAgent({
      cluster: { name, id: index + 1, maxConnectedClusters: 255 },
      nodeName: "node-1",
      store,
      maps: createMemoryMaps(),
      ...(clusterState === undefined ? {} : { clusterState }),
    });
  });
}, 120_000);

afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  await Promise.all(apiservers.map((apiserver) => apiserver.close()));
}, 60_000);

const order = (store: DrainStore, drains: readonly DrainRecord[]): Promise<void> =>
  store.change(() => drains, signal);
const percents = (): number[] => rows.map((map) => map.get(WEST_ID)?.drainedPercent ?? 0);
const become = async (wanted: readonly number[]): Promise<void> => {
  await eventually(() => percents().every((percent, index) => percent === wanted[index]));
};

describe("a drain", () => {
  test("that a cluster orders of itself is in the rows of every cluster, with its end", async () => {
    await order(stores[1], [testDrain({ percent: 60, expiresAtMs: systemClock.nowMs() + 60_000 })]);
    await become([60, 60]);
    const leftNs = (rows[0]?.get(WEST_ID)?.drainExpiresNs ?? 0n) - process.hrtime.bigint();
    expect(leftNs).toBeGreaterThan(30_000_000_000n);
    expect(leftNs).toBeLessThanOrEqual(60_000_000_000n);
    const { drains } = await apiservers[0].status();
    expect(drains).toMatchObject([{ cluster: "west", percent: 60, toldBy: "west" }]);
    await order(stores[1], []);
    await become([0, 0]);
  }, 60_000);

  test("that a cluster orders about a peer is its own alone", async () => {
    await order(stores[0], [testDrain({ percent: 30 })]);
    await become([30, 0]);
    expect([...(await apiservers[1].contents("tombolo/cache/drains/"))]).toEqual([]);
    await order(stores[0], []);
    await become([0, 0]);
  }, 60_000);

  test("stays when the peer's apiserver is killed, and ends by its time", async () => {
    const expiresAtMs = systemClock.nowMs() + 8_000;
    await order(stores[1], [testDrain({ expiresAtMs })]);
    await become([100, 100]);
    await apiservers[1].kill("SIGKILL");
    expect(percents()).toEqual([100, 100]);
    await become([0, 0]);
    expect(systemClock.nowMs()).toBeGreaterThanOrEqual(expiresAtMs);
  }, 60_000);
});
