import { describe, expect, test } from "@jest/globals";
import { drainId, withDrains, withoutDrains } from "../../../../mesh/drain/change-drains.ts";
import { parseDrain } from "../../../../mesh/kvstore/records/drain.ts";
import { testDrain } from "../../../fakes/drains.ts";

const ORDER = {
  cluster: "west",
  clusterId: 2,
  percent: 100,
  services: [],
  expiresAtMs: 9_000,
  graceSeconds: 30,
  reason: "",
};

describe("drainId()", () => {
  test("is the same for the same cluster and service, and an id that records may have", () => {
    expect(drainId("west")).toBe(drainId("west"));
    const ids = [drainId("west"), drainId("east"), drainId("west", "shop/cart")];
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) {
      const record = Buffer.from(JSON.stringify(testDrain({ id })));
      expect(parseDrain(id, record).id).toBe(id);
    }
  });
});

describe("withDrains()", () => {
  test("ordering twice updates, and remembers when it began", () => {
    const once = withDrains([], ORDER, 1_000);
    expect(once).toEqual([{ ...ORDER, id: drainId("west"), services: [], createdAtMs: 1_000 }]);
    const twice = withDrains(once, { ...ORDER, percent: 25 }, 2_000);
    expect(twice).toEqual([{ ...once[0], percent: 25, createdAtMs: 1_000 }]);
  });

  test("keeps a record for each service, beside that of the cluster and those of others", () => {
    const others = [testDrain({ id: "north", cluster: "north" })];
    const cluster = withDrains(others, ORDER, 1_000);
    const drains = withDrains(cluster, { ...ORDER, services: ["a/b", "a/c"] }, 1_000);
    expect(drains.map(({ cluster: name, services }) => [name, ...services])).toEqual([
      ["north"],
      ["west"],
      ["west", "a/b"],
      ["west", "a/c"],
    ]);
  });

  test("leaves out what has expired, which begins anew", () => {
    const old = [testDrain({ id: drainId("west"), expiresAtMs: 1_000, createdAtMs: 5 })];
    expect(withDrains(old, ORDER, 2_000)[0]?.createdAtMs).toBe(2_000);
    const gone = [testDrain({ id: "x", cluster: "north", expiresAtMs: 1_000 })];
    expect(withDrains(gone, ORDER, 2_000)).toHaveLength(1);
  });

  test("refuses more than a cluster can have", () => {
    const services = Array.from({ length: 1_001 }, (_, index) => `a/s${index}`);
    expect(() => withDrains([], { ...ORDER, services }, 0)).toThrow("Cannot keep 1001 drains");
  });
});

describe("withoutDrains()", () => {
  const drains = [
    testDrain({ id: "all" }),
    testDrain({ id: "cart", services: ["shop/cart"] }),
    testDrain({ id: "north", cluster: "north" }),
    testDrain({ id: "old", expiresAtMs: 10 }),
  ];

  test("takes back every drain of the cluster, and forgets what has expired", () => {
    const { kept, removed } = withoutDrains(drains, { cluster: "west", services: [] }, 20);
    expect(kept.map(({ id }) => id)).toEqual(["north"]);
    expect(removed.map(({ id }) => id)).toEqual(["all", "cart"]);
  });

  test("takes back those of named services only", () => {
    const order = { cluster: "west", services: ["shop/cart"] };
    expect(withoutDrains(drains, order, 20).removed.map(({ id }) => id)).toEqual(["cart"]);
  });
});
