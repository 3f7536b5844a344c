import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { openClusterAccess } from "../../../../mesh/connect/context-access.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";

const signal = new AbortController().signal;
let east: TestCluster;

beforeAll(async () => {
  east = await createTestCluster({ name: "east", id: 1 });
}, 60_000);

afterAll(() => east.close());

test("openClusterAccess() leads to the directory's cluster, its socket and its etcd", async () => {
  const access = openClusterAccess(
    { context: "east", directory: east.directory },
    { clock: systemClock, random: Math.random, log: silentLogger },
  );
  expect(await access.readProfile()).toMatchObject({ name: "east", id: 1 });
  await expect(access.readPeers(signal)).rejects.toThrow(`${east.directory}/run/apiserver.sock`);
  await expect(access.readLosses("west", AbortSignal.timeout(2_000))).rejects.toThrow();
}, 60_000);
