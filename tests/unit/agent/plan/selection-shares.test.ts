import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { connectionShares, type SelectableGroup } from "../../../../agent/plan/selection-shares.ts";

/** `[tier, weight, yields]`, of two backends that are up. */
function shares(groups: readonly (readonly [number, number, number | undefined])[]): number[] {
  return connectionShares(
    groups.map(([tier, weight, yields]) => ({ tier, weight, yields, backends: 2, healthy: 2 })),
  ).map((share) => Math.round(share * 1_000) / 1_000);
}

describe("connectionShares()", () => {
  test.each([
    [
      "by weight within the best tier",
      [
        [0, 3, 0],
        [0, 1, 0],
        [1, 9, 0],
      ],
      [0.75, 0.25, 0],
    ],
    [
      "to the next tier when the best cannot serve",
      [
        [0, 3, undefined],
        [1, 1, 0],
      ],
      [0, 1],
    ],
    [
      "nowhere when nobody can",
      [
        [0, 3, undefined],
        [1, 0, 0],
      ],
      [0, 0],
    ],
    [
      "what a cluster yields to its tier",
      [
        [0, 1, 25],
        [0, 1, 0],
      ],
      [0.375, 0.625],
    ],
    [
      "what it yields to the next tier where it is alone",
      [
        [0, 1, 30],
        [1, 1, 0],
      ],
      [0.7, 0.3],
    ],
    [
      "all to the others when all is yielded",
      [
        [0, 1, 100],
        [1, 1, 0],
      ],
      [0, 1],
    ],
    [
      "to who yields when nobody else is there",
      [
        [0, 1, 100],
        [1, 1, undefined],
      ],
      [1, 0],
    ],
    [
      "to the best tier of those that yield",
      [
        [0, 1, 100],
        [1, 1, 100],
      ],
      [1, 0],
    ],
  ] as const)("goes %s", (_, groups, wanted) => {
    expect(shares(groups)).toEqual(wanted);
  });

  test("passes over groups without a backend that is up", () => {
    const group = { weight: 1, yields: 0, backends: 2 };
    expect(
      connectionShares([
        { ...group, tier: 0, healthy: 0 },
        { ...group, tier: 1, healthy: 1 },
      ]),
    ).toEqual([0, 1]);
    expect(connectionShares([{ ...group, tier: 0, healthy: 0 }])).toEqual([0]);
  });

  test("adds up to all connections, or to none", () => {
    const group: fc.Arbitrary<SelectableGroup> = fc.record({
      tier: fc.nat(2),
      weight: fc.nat(4),
      backends: fc.constant(2),
      healthy: fc.nat(2),
      yields: fc.option(fc.constantFrom(0, 10, 50, 100), { nil: undefined }),
    });
    const groups = fc
      .array(group, { maxLength: 6 })
      .map((list) => list.sort((a, b) => a.tier - b.tier));
    fc.assert(
      fc.property(groups, (list) => {
        const total = connectionShares(list).reduce((sum, share) => sum + share, 0);
        const serves = list.some(
          ({ weight, healthy, yields }) => weight > 0 && healthy > 0 && yields !== undefined,
        );
        expect(total).toBeCloseTo(serves ? 1 : 0, 9);
      }),
    );
  });

  test("agrees with a draw by the rules of the datapath", () => {
    const groups = [
      { tier: 0, weight: 2, yields: 40 },
      { tier: 0, weight: 1, yields: 70 },
      { tier: 1, weight: 3, yields: 50 },
      { tier: 1, weight: 1, yields: 0 },
    ].map((group) => ({ ...group, backends: 1, healthy: 1 }));
    const random = fc.sample(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), {
      numRuns: 8,
      seed: 7,
    });
    let state = Math.floor((random[0] ?? 0.5) * 2 ** 31) + 1;
    const next = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const counts = groups.map(() => 0);
    const draws = 40_000;
    for (let draw = 0; draw < draws; draw++) {
      const index = drawOne(groups, next);
      counts[index] = (counts[index] ?? 0) + 1;
    }
    const computed = connectionShares(groups);
    for (const [index, share] of computed.entries()) {
      expect(Math.abs((counts[index] ?? 0) / draws - share)).toBeLessThan(0.015);
    }
  });
});

/** As bpf/lib/services.h walks: one pass, the newcomer replaces the chosen one by its weight. */
function drawOne(groups: readonly SelectableGroup[], next: () => number): number {
  const chosen = { index: -1, total: 0 };
  const spare = { index: -1, total: 0 };
  for (const [index, { tier, weight, yields = 0 }] of groups.entries()) {
    if (chosen.index >= 0 && groups[chosen.index]?.tier !== tier) break;
    const choice = next() * 100 < yields ? spare : chosen;
    if (choice.index >= 0 && groups[choice.index]?.tier !== tier) continue;
    choice.total += weight;
    if (next() * choice.total < weight) choice.index = index;
  }
  return chosen.index >= 0 ? chosen.index : spare.index;
}
