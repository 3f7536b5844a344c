import { describe, expect, test } from "@jest/globals";
import { predictServing, requiredBackends } from "../../../../mesh/core/failover.ts";

const group = (cluster: string, change: object = {}) => ({
  cluster,
  tier: 0,
  weight: 1,
  usable: true,
  backends: 1,
  ...change,
});

describe("predictServing()", () => {
  test("the best tier that can serve, by weight", () => {
    const groups = [
      group("east", { weight: 3 }),
      group("west"),
      group("north", { tier: 1, backends: 5 }),
    ];
    const { shares, backends } = predictServing(groups);
    expect([...shares]).toEqual([
      ["east", 0.75],
      ["west", 0.25],
    ]);
    expect(backends).toBe(7);
  });

  for (const [what, change] of [
    ["no backend that is up", { backends: 0 }],
    ["a weight of 0", { weight: 0 }],
    ["a cluster that may not be used", { usable: false }],
  ] as const) {
    test(`${what}: the next tier`, () => {
      const groups = [group("east", change), group("west", { tier: 1 })];
      expect([...predictServing(groups).shares.keys()]).toEqual(["west"]);
    });
  }

  test("is enough where one cluster that serves has the minimum", () => {
    const groups = [group("east", { backends: 2 }), group("west", { backends: 3 })];
    const minHealthy = { kind: "count", count: 4 } as const;
    expect(predictServing(groups, { minHealthy }).enough).toBe(false);
    expect(predictServing(groups, { minHealthy: { ...minHealthy, count: 3 } }).enough).toBe(true);
    expect(predictServing([]).enough).toBe(false);
  });
});

describe("requiredBackends()", () => {
  test("a share is of the most that any cluster has, at least one", () => {
    expect(requiredBackends({ kind: "percent", percent: 50 }, 5)).toBe(3);
    expect(requiredBackends({ kind: "percent", percent: 10 }, 0)).toBe(1);
    expect(requiredBackends(undefined, 9)).toBe(1);
  });
});
