import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { undrainCommand } from "../../../../mesh/commands/undrain.ts";
import { createTestContext, type TestContext } from "../../../fakes/command-context.ts";
import { createDrainCluster, type DrainCluster } from "../../../fakes/drain-cluster.ts";
import { testDrain } from "../../../fakes/drains.ts";

let home: string;
let east: DrainCluster;
let west: DrainCluster;
let context: TestContext;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-dr-home-"));
  east = await createDrainCluster({ home, name: "east", id: 1, peers: ["west"] });
  west = await createDrainCluster({ home, name: "west", id: 2, peers: ["east"] });
  context = createTestContext(home);
});

afterEach(async () => {
  await east.close();
  await west.close();
  await rm(home, { recursive: true, force: true });
});

const run = (line: string): Promise<number> => undrainCommand.run(line.split(" "), context);

describe("mesh undrain", () => {
  test("takes back what the cluster says of itself and what others say of it", async () => {
    await west.order([testDrain(), testDrain({ id: "cart", services: ["shop/cart"] })]);
    await east.order([testDrain(), testDrain({ id: "north", cluster: "north" })]);
    east.stop();
    expect(await run("west")).toBe(0);
    expect(context.out()).toBe(
      "Taken back: 2 drains of west, in west\nTaken back: 1 drain of west, in east\n",
    );
    expect(await west.drains()).toEqual([]);
    expect((await east.drains()).map(({ id }) => id)).toEqual(["north"]);
  });

  test("takes back the drain of one service", async () => {
    await west.order([testDrain(), testDrain({ id: "cart", services: ["shop/cart"] })]);
    expect(await run("west --service shop/cart --output json")).toBe(0);
    expect(JSON.parse(context.out())).toMatchObject({
      cluster: "west",
      removed: [{ cluster: "west", drains: [{ id: "cart" }] }],
      problems: [],
    });
    expect((await west.drains()).map(({ id }) => id)).toEqual(["cluster-west"]);
  });

  test("says that there was nothing to take back, and who could not be asked", async () => {
    expect(await run("west")).toBe(0);
    expect(context.out()).toBe("west is not drained by any cluster that was asked.\n");
    await east.close();
    expect(await run("west")).toBe(1);
    expect(context.err()).toContain("east: Cannot read cluster profile");
  });

  test("wants one cluster", async () => {
    await expect(undrainCommand.run([], context)).rejects.toThrow("want one cluster, got 0 names");
  });
});
