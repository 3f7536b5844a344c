import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parsePrefix, prefixesOverlap } from "../../../../mesh/core/address.ts";
import { findPrefixConflicts } from "../../../../mesh/connect/prefix-conflicts.ts";

function claim(prefix: string, cluster: string) {
  return { prefix, cluster, node: `${cluster}-1` };
}

describe("findPrefixConflicts()", () => {
  const cases: readonly [string, [string, string][], string[]][] = [
    [
      "neighbours",
      [
        ["10.0.0.0/24", "a"],
        ["10.0.1.0/24", "b"],
      ],
      [],
    ],
    [
      "equal prefixes",
      [
        ["10.0.0.0/24", "a"],
        ["10.0.0.0/24", "b"],
      ],
      ["10.0.0.0/24"],
    ],
    [
      "a nested one",
      [
        ["10.0.0.0/8", "a"],
        ["10.9.0.0/16", "b"],
      ],
      ["10.9.0.0/16"],
    ],
    [
      "nesting in one cluster",
      [
        ["10.0.0.0/8", "a"],
        ["10.9.0.0/16", "a"],
      ],
      [],
    ],
    [
      "both families",
      [
        ["::/0", "a"],
        ["10.0.0.0/8", "b"],
      ],
      [],
    ],
    [
      "a cluster seen twice",
      [
        ["10.0.0.0/24", "a"],
        ["10.0.0.0/24", "a"],
      ],
      [],
    ],
    [
      "a gap between",
      [
        ["10.0.0.0/8", "a"],
        ["10.1.0.0/24", "a"],
        ["10.2.0.0/24", "b"],
      ],
      ["10.2.0.0/24"],
    ],
  ];
  for (const [name, claims, inner] of cases) {
    test(`sees ${name}`, () => {
      const found = findPrefixConflicts(claims.map(([prefix, cluster]) => claim(prefix, cluster)));
      expect(found.map((conflict) => conflict.inner.prefix)).toEqual(inner);
    });
  }

  test("finds a conflict exactly when comparing all with all does", () => {
    const claims = fc.array(
      fc.record({
        a: fc.integer({ min: 0, max: 3 }),
        length: fc.constantFrom(8, 12, 16, 24),
        cluster: fc.constantFrom("a", "b", "c"),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(claims, (items) => {
        const all = items.map(({ a, length, cluster }) => {
          const bits = length === 8 ? "10.0.0.0" : `10.${a * 16}.0.0`;
          return claim(`${bits}/${length}`, cluster);
        });
        const slow = all.some((x) =>
          all.some(
            (y) =>
              x.cluster !== y.cluster &&
              prefixesOverlap(parsePrefix(x.prefix), parsePrefix(y.prefix)),
          ),
        );
        expect(findPrefixConflicts(all).length > 0).toBe(slow);
      }),
    );
  });
});
