import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  drainGroups,
  percentsByService,
  strongestDrain,
} from "../../../../agent/plan/plan-drains.ts";
import {
  LAST_TIER,
  LEAVING_TIER,
  type BackendGroup,
} from "../../../../agent/plan/rank-clusters.ts";
import { testDrain } from "../../../fakes/drains.ts";

const NAMES = ["east", "west", "north", "south"];

/** `east 0/3`: tier 0, weight 3. */
function group(name: string, tier: number, weight: number, healthy?: number): BackendGroup {
  const clusterId = NAMES.indexOf(name) + 1;
  const backends = [{ address: `10.${clusterId}.0.1`, port: 80 }];
  return {
    cluster: name,
    clusterId,
    tier,
    weight,
    backends,
    ...(healthy === undefined ? {} : { healthy }),
  };
}

function drained(
  groups: readonly BackendGroup[],
  percents: Readonly<Record<string, number>>,
  hasSessions = false,
): string[] {
  const percentOf = (cluster: string): number => percents[cluster] ?? 0;
  return drainGroups(groups, { percentOf, hasSessions }).map(
    ({ cluster, tier, weight }) => `${cluster} ${tier}/${weight}`,
  );
}

describe("drainGroups()", () => {
  const pair = [group("east", 0, 1), group("west", 0, 1)];
  const ranked = [group("east", 0, 3), group("west", 1, 1), group("north", 1, 1)];

  test("leaves groups alone that nobody drains", () => {
    expect(drainGroups(pair, { percentOf: () => 0, hasSessions: false })).toBe(pair);
  });

  test("puts a drained cluster behind all others, where the datapath finds it at need", () => {
    expect(drained(pair, { west: 100 })).toEqual(["east 0/1", `west ${LAST_TIER}/1`]);
    expect(drained(ranked, { east: 100 })).toEqual([
      "west 1/1",
      "north 1/1",
      `east ${LAST_TIER}/3`,
    ]);
  });

  test("ends sessions by taking the weight", () => {
    expect(drained(pair, { west: 100 }, true)).toEqual(["east 0/1", "west 0/0"]);
  });

  test("leaves all as it was where nobody could take over", () => {
    expect(drained(pair, { east: 100, west: 100 })).toEqual(["east 0/1", "west 0/1"]);
    expect(drained([group("west", 0, 1)], { west: 100 }, true)).toEqual(["west 0/1"]);
    const weightless = [group("east", 0, 0), group("west", 0, 1)];
    expect(drained(weightless, { west: 100 })).toEqual(["east 0/0", "west 0/1"]);
    const dead = [group("east", 0, 1, 0), group("west", 0, 1)];
    expect(drained(dead, { west: 100 }, true)).toEqual(["east 0/1", "west 0/1"]);
    const leaving = [group("west", 0, 1), group("east", LEAVING_TIER, 1)];
    expect(drained(leaving, { west: 100 }, true)).toEqual(["west 0/1", `east ${LEAVING_TIER}/1`]);
  });

  test("gives what a cluster yields to the others of its tier", () => {
    expect(drained(pair, { west: 50 })).toEqual(["east 0/7500", "west 0/2500"]);
    const three = [group("east", 0, 2), group("west", 0, 1), group("north", 0, 1)];
    expect(drained(three, { east: 50 })).toEqual(["east 0/2500", "west 0/3750", "north 0/3750"]);
  });

  test("draws the next tier up where a cluster stands alone", () => {
    expect(drained(ranked, { east: 25 })).toEqual(["east 0/7500", "west 0/1250", "north 0/1250"]);
    const withLast = [...ranked, group("south", 2, 1)];
    expect(drained(withLast, { east: 25 }).at(-1)).toBe("south 2/1");
  });

  test("lets all of a tier that are drained by a part share by what is left to them", () => {
    expect(drained(pair, { east: 50, west: 75 })).toEqual(["east 0/2500", "west 0/1250"]);
  });

  test("keeps every cluster, every backend and the order of tiers, whatever is drained", () => {
    const arbitraryGroups = fc
      .array(fc.record({ tier: fc.nat(3), weight: fc.nat(5) }), { minLength: 1, maxLength: 4 })
      .map((parts) =>
        parts
          .map(({ tier, weight }, index) => group(NAMES[index] ?? "", tier, weight))
          .sort((a, b) => a.tier - b.tier || a.clusterId - b.clusterId),
      );
    const percents = fc.dictionary(fc.constantFrom(...NAMES), fc.nat(100));
    fc.assert(
      fc.property(arbitraryGroups, percents, fc.boolean(), (groups, percent, hasSessions) => {
        const percentOf = (cluster: string): number => percent[cluster] ?? 0;
        const result = drainGroups(groups, { percentOf, hasSessions });
        expect(result.map(({ cluster }) => cluster).sort()).toEqual(
          groups.map(({ cluster }) => cluster).sort(),
        );
        expect(result.map(({ tier }) => tier)).toEqual(
          result.map(({ tier }) => tier).sort((a, b) => a - b),
        );
        // Somebody who could serve before can serve after.
        const serves = groups.some(({ weight }) => weight > 0);
        expect(result.some(({ weight }) => weight > 0)).toBe(serves);
        for (const { weight } of result) expect(Number.isSafeInteger(weight)).toBe(true);
      }),
    );
  });
});

describe("strongestDrain()", () => {
  test("is the one with the largest share, then with the latest end", () => {
    const [weak, soon, late, never] = [
      testDrain({ id: "weak", percent: 50 }),
      testDrain({ id: "soon", expiresAtMs: 5 }),
      testDrain({ id: "late", expiresAtMs: 9 }),
      testDrain({ id: "never", expiresAtMs: 0 }),
    ] as const;
    expect(strongestDrain([weak, late, soon])?.id).toBe("late");
    expect(strongestDrain([soon, never, late])?.id).toBe("never");
    expect(strongestDrain([])).toBeUndefined();
  });
});

describe("percentsByService()", () => {
  test("takes the largest share of each service, and none of whole clusters", () => {
    const drains = [
      testDrain({ id: "a", percent: 30, services: ["shop/cart"] }),
      testDrain({ id: "b", percent: 60, services: ["shop/cart", "shop/pay"] }),
      testDrain({ id: "c" }),
    ];
    expect(percentsByService(drains)).toEqual(
      new Map([
        ["shop/cart", new Map([["west", 60]])],
        ["shop/pay", new Map([["west", 60]])],
      ]),
    );
  });
});
