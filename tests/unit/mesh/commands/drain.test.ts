import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { drainCommand, orderFromFlags } from "../../../../mesh/commands/drain.ts";
import {
  createDrainCluster,
  createDrainMesh,
  type DrainMesh,
} from "../../../fakes/drain-cluster.ts";

const SHORT = {
  service: "shop/cart",
  port: "http 80/TCP over IPv4",
  needed: 2,
  bestCluster: "east",
  bestBackends: 1,
};

let mesh: DrainMesh;

beforeEach(async () => {
  mesh = await createDrainMesh();
});

afterEach(async () => {
  await mesh[Symbol.asyncDispose]();
});

const run = (line: string): Promise<number> => drainCommand.run(line.split(" "), mesh.context);

describe("mesh drain", () => {
  test("orders it in the cluster itself, which tells the others", async () => {
    expect(await run("west --for 1h --percent 25 --grace 10s --reason kernel")).toBe(0);
    expect(await mesh.east.drains()).toEqual([]);
    const [drain] = await mesh.west.drains();
    expect(drain).toMatchObject({
      cluster: "west",
      clusterId: 2,
      percent: 25,
      services: [],
      graceSeconds: 10,
      reason: "kernel",
    });
    const leftMs = (drain?.expiresAtMs ?? 0) - mesh.context.clock.nowMs();
    expect(leftMs).toBeGreaterThan(3_590_000);
    expect(leftMs).toBeLessThanOrEqual(3_600_000);
    expect(mesh.context.out()).toContain(
      "Drained: west, 25 % of new connections go elsewhere, for 1h.",
    );
    expect(mesh.east.asked).toEqual([{ cluster: "west", services: [] }]);
    expect(mesh.context.err()).toBe("");
  });

  test("changes the drain when it is ordered again", async () => {
    await run("west");
    await run("west --percent 50");
    expect((await mesh.west.drains()).map(({ percent }) => percent)).toEqual([50]);
  });

  test("writes nothing where others are short, and names them", async () => {
    mesh.east.check = { affected: 1, short: [SHORT], problems: [] };
    expect(await run("west")).toBe(1);
    expect(mesh.context.out()).toBe(
      [
        "Not enough ready backends elsewhere for 1 ports:",
        "SERVICE    PORT                   NEEDS  BEST OF THE OTHERS  SEEN BY",
        "shop/cart  http 80/TCP over IPv4      2  east 1              east",
        "",
        "Not drained: nothing was changed.",
        '  hint: --force drains "west" all the same',
        "",
      ].join("\n"),
    );
    expect(await mesh.west.drains()).toEqual([]);
    expect(await run("west --force")).toBe(0);
    expect(await mesh.west.drains()).toHaveLength(1);
  });

  test("says with --dry-run who would be told, and changes nothing", async () => {
    expect(await run("west --dry-run --output json")).toBe(0);
    expect(JSON.parse(mesh.context.out())).toMatchObject({ outcome: "planned", toldBy: ["west"] });
    expect(await mesh.west.drains()).toEqual([]);
  });

  test("tells every other cluster when the cluster itself cannot", async () => {
    mesh.west.stop();
    expect(await run("west")).toBe(0);
    expect(await mesh.west.drains()).toEqual([]);
    expect(await mesh.east.drains()).toMatchObject([{ cluster: "west", clusterId: 2 }]);
    expect(mesh.context.err()).toContain("west was not asked: Cannot ask the apiserver");
    expect(mesh.context.err()).toContain(
      '"west" cannot tell the mesh itself: only east will drain it',
    );
  });

  test("drains a cluster that this machine has no context of, by its own name", async () => {
    const north = await createDrainCluster({
      home: mesh.home,
      name: "north",
      id: 3,
      peers: ["south"],
    });
    expect(await run("south")).toBe(0);
    expect(await north.drains()).toMatchObject([{ cluster: "south" }]);
    expect(mesh.context.err()).toContain('east was not asked: it is not connected with "south"');
    await north.close();
  });

  test("refuses when nobody can be asked", async () => {
    mesh.west.stop();
    mesh.east.stop();
    await expect(run("west")).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot drain "west": no cluster answers that is connected with it',
    });
    await expect(run("nowhere")).rejects.toMatchObject({ code: "unavailable" });
    expect([...(await mesh.east.drains()), ...(await mesh.west.drains())]).toEqual([]);
  });

  test("drains single services, if they are known as such anywhere", async () => {
    expect(await run("west --service shop/cart --service shop/pay")).toBe(0);
    expect((await mesh.west.drains()).map(({ services }) => services)).toEqual([
      ["shop/cart"],
      ["shop/pay"],
    ]);
    const problems = ["shop/none does not exist"];
    mesh.east.check = { affected: 0, short: [], problems };
    mesh.west.check = mesh.east.check;
    await expect(run("west --service shop/none")).rejects.toMatchObject({
      code: "not_found",
      message: "Cannot drain: shop/none does not exist",
    });
  });

  test("lists when it is given nothing", async () => {
    expect(await drainCommand.run([], mesh.context)).toBe(0);
    expect(mesh.context.out()).toBe("No drain is in force.\n");
  });

  test("wants one cluster", async () => {
    await expect(run("east west")).rejects.toThrow("want one cluster, got 2 names");
  });
});

describe("orderFromFlags()", () => {
  test("drains all of it, for ever, with half a minute of grace, if nothing is said", () => {
    expect(orderFromFlags({}, 5)).toEqual({
      percent: 100,
      services: [],
      expiresAtMs: 0,
      graceSeconds: 30,
      reason: "",
    });
  });

  test.each([
    [{ percent: "0" }, 'Cannot drain by "0"'],
    [{ percent: "2.5" }, 'Cannot drain by "2.5"'],
    [{ for: "soon" }, 'Cannot use --for "soon"'],
    [{ for: "10ms" }, 'Cannot use --for "10ms"'],
    [{ for: "9000h" }, 'Cannot use --for "9000h"'],
    [{ grace: "48h" }, 'Cannot use --grace "48h"'],
    [{ service: ["cart"] }, 'Cannot drain "cart": want NAMESPACE/NAME'],
    [{ reason: "a\nb" }, "Cannot use --reason"],
  ])("refuses %j", (flags, message) => {
    expect(() => orderFromFlags(flags, 0)).toThrow(message);
  });
});
