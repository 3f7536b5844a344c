import { describe, expect, test } from "@jest/globals";
import { createHoldDown } from "../../../../agent/health/judge-hold-down.ts";

const LIMITS = { firstMs: 2_000, maxMs: 60_000, quietMs: 120_000 };

describe("createHoldDown()", () => {
  test("doubles with every failure up to its limit", () => {
    const holdDown = createHoldDown(LIMITS);
    const held = Array.from({ length: 7 }, (_, i) => holdDown.fail(i));
    expect(held).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  test("begins again after it was well for the quiet while, and not before", () => {
    const holdDown = createHoldDown(LIMITS);
    holdDown.fail(0);
    holdDown.recover(10_000);
    expect(holdDown.isForgotten(129_999)).toBe(false);
    expect(holdDown.fail(129_999)).toBe(4_000);
    holdDown.recover(140_000);
    holdDown.recover(200_000);
    expect(holdDown.isForgotten(260_000)).toBe(true);
    expect(holdDown.fail(260_000)).toBe(2_000);
  });
});
