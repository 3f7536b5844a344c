import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createBackoff, systemRandom } from "../../../../mesh/core/backoff.ts";

describe("createBackoff()", () => {
  test("doubles up to the cap", () => {
    const backoff = createBackoff({ baseMs: 50, capMs: 400, random: () => 1 });
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.nextMs())).toEqual([50, 100, 200, 400, 400, 400]);
  });

  test("begins again after reset()", () => {
    const backoff = createBackoff({ baseMs: 50, capMs: 400, random: () => 1 });
    backoff.nextMs();
    backoff.nextMs();
    backoff.reset();
    expect(backoff.nextMs()).toBe(50);
  });

  test("stays between half and all of the step, however often it is asked", () => {
    const options = fc.record({
      baseMs: fc.integer({ min: 1, max: 1_000 }),
      factor: fc.integer({ min: 1, max: 1_000 }),
      chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      attempts: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(options, ({ baseMs, factor, chance, attempts }) => {
        const capMs = baseMs * factor;
        const backoff = createBackoff({ baseMs, capMs, random: () => chance });
        for (let attempt = 0; attempt < attempts; attempt++) {
          const step = Math.min(capMs, baseMs * 2 ** attempt);
          const delay = backoff.nextMs();
          expect(delay).toBeGreaterThanOrEqual(step / 2);
          expect(delay).toBeLessThanOrEqual(step);
        }
      }),
    );
  });

  for (const [baseMs, capMs] of [
    [0, 10],
    [-1, 10],
    [Number.NaN, 10],
    [20, 10],
  ] as const) {
    test(`refuses a base of ${baseMs} with a cap of ${capMs}`, () => {
      expect(() => createBackoff({ baseMs, capMs, random: () => 0 })).toThrow(RangeError);
    });
  }

  test("systemRandom() is in [0, 1)", () => {
    expect(systemRandom()).toBeLessThan(1);
  });
});
