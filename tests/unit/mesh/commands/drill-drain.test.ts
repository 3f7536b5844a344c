import { afterEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { orderDrain, takeBackDrain } from "../../../../mesh/commands/drill-drain.ts";
import { createDirectoryDrainStore } from "../../../../mesh/connect/drain-store.ts";
import { clusterPaths, readClusterProfile } from "../../../../mesh/contexts/cluster-directory.ts";
import { parseDrainFile } from "../../../../mesh/drain/drain-file.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const never = new AbortController().signal;
const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

describe("orderDrain(), takeBackDrain()", () => {
  test("add one record with its end, beside others, and take only it away", async () => {
    const directory = await mkdtemp(join(tmpdir(), "tombolo-drill-drain-"));
    directories.push(directory);
    const profile = {
      name: "west",
      id: 2,
      etcdEndpoints: ["https://192.0.2.1:2379"],
      joinEndpoint: "192.0.2.1:2381",
    };
    await writeFile(clusterPaths(directory).profile, JSON.stringify(profile));
    const clock = createFakeClock();
    const place = {
      drains: createDirectoryDrainStore(directory, { clock }),
      readProfile: () => readClusterProfile(directory),
      clock,
    };
    const order = {
      id: "west-drill",
      cluster: "west",
      percent: 50,
      services: [],
      expiresAtMs: clock.nowMs() + 60_000,
      reason: "drill west-drill",
    };
    const read = async () => {
      const path = clusterPaths(directory).drains;
      return parseDrainFile(await readFile(path, "utf8"), path);
    };
    await takeBackDrain(place, "west-drill", never);
    await orderDrain(place, { ...order, id: "another" }, never);
    await orderDrain(place, order, never);
    await orderDrain(place, order, never);
    expect(await read()).toHaveLength(2);
    expect((await read())[1]).toMatchObject({
      cluster: "west",
      clusterId: 2,
      percent: 50,
      expiresAtMs: order.expiresAtMs,
    });
    await takeBackDrain(place, "west-drill", never);
    await takeBackDrain(place, "west-drill", never);
    expect(await read()).toHaveLength(1);
  });
});
