import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { undrainCommand } from "../../../../mesh/commands/undrain.ts";
import { createDrainMesh, type DrainMesh } from "../../../fakes/drain-cluster.ts";
import { testDrain } from "../../../fakes/drains.ts";

let mesh: DrainMesh;

beforeEach(async () => {
  mesh = await createDrainMesh();
});

afterEach(async () => {
  await mesh[Symbol.asyncDispose]();
});

const run = (line: string): Promise<number> => undrainCommand.run(line.split(" "), mesh.context);

describe("mesh undrain", () => {
  test("takes back what the cluster says of itself and what others say of it", async () => {
    await mesh.west.order([testDrain(), testDrain({ id: "cart", services: ["shop/cart"] })]);
    await mesh.east.order([testDrain(), testDrain({ id: "north", cluster: "north" })]);
    mesh.east.stop();
    expect(await run("west")).toBe(0);
    expect(mesh.context.out()).toBe(
      "Taken back: 2 drains of west, in west\nTaken back: 1 drain of west, in east\n",
    );
    expect(await mesh.west.drains()).toEqual([]);
    expect((await mesh.east.drains()).map(({ id }) => id)).toEqual(["north"]);
  });

  test("takes back the drain of one service", async () => {
    await mesh.west.order([testDrain(), testDrain({ id: "cart", services: ["shop/cart"] })]);
    expect(await run("west --service shop/cart --output json")).toBe(0);
    expect(JSON.parse(mesh.context.out())).toMatchObject({
      cluster: "west",
      removed: [{ cluster: "west", drains: [{ id: "cart" }] }],
      problems: [],
    });
    expect((await mesh.west.drains()).map(({ id }) => id)).toEqual(["cluster-west"]);
  });

  test("says that there was nothing to take back, and who could not be asked", async () => {
    expect(await run("west")).toBe(0);
    expect(mesh.context.out()).toBe("west is not drained by any cluster that was asked.\n");
    await mesh.east.close();
    expect(await run("west")).toBe(1);
    expect(mesh.context.err()).toContain("east: Cannot read cluster profile");
  });

  test("wants one cluster", async () => {
    await expect(undrainCommand.run([], mesh.context)).rejects.toThrow(
      "want one cluster, got 0 names",
    );
  });
});
