import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  clusterIdOfIdentity,
  identityRange,
  RESERVED_IDENTITY,
  reservedIdentityName,
} from "../../../../mesh/core/identity.ts";

describe("identityRange()", () => {
  for (const [id, width, first, last] of [
    [1, 255, 65_536, 131_071],
    [255, 255, 16_711_680, 16_777_215],
    [1, 511, 32_768, 65_535],
    [511, 511, 16_744_448, 16_777_215],
  ] as const) {
    test(`identityRange() of cluster ${id} among ${width}`, () => {
      expect(identityRange(id, width)).toEqual({ first, last });
    });
  }

  test("ranges touch and do not overlap, and clusterIdOfIdentity() finds them again", () => {
    const clusters = fc
      .constantFrom(255 as const, 511 as const)
      .chain((width) =>
        fc.record({ width: fc.constant(width), id: fc.integer({ min: 1, max: width - 1 }) }),
      );
    fc.assert(
      fc.property(clusters, ({ width, id }) => {
        const range = identityRange(id, width);
        expect(identityRange(id + 1, width).first).toBe(range.last + 1);
        expect(clusterIdOfIdentity(range.first, width)).toBe(id);
        expect(clusterIdOfIdentity(range.last, width)).toBe(id);
      }),
    );
  });
});

describe("reservedIdentityName()", () => {
  test("names every reserved number and no other", () => {
    for (const [name, number] of Object.entries(RESERVED_IDENTITY)) {
      expect(reservedIdentityName(number)).toBe(name);
      expect(clusterIdOfIdentity(number, 255)).toBe(0);
    }
    expect(reservedIdentityName(65_536)).toBeUndefined();
  });
});
