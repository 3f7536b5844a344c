import { describe, expect, test } from "@jest/globals";
import { DEFAULT_LIMITS } from "../../../../agent/health/judge-limits.ts";
import { createRoundTrip } from "../../../../agent/health/judge-round-trip.ts";

function known(ms: number) {
  const roundTrip = createRoundTrip(DEFAULT_LIMITS);
  for (let i = 0; i < 600; i += 1) roundTrip.add(ms);
  return roundTrip;
}

function slowAfter(usualMs: number, ms: number): boolean {
  const roundTrip = known(usualMs);
  for (let i = 0; i < 20; i += 1) roundTrip.add(ms);
  return roundTrip.isSlow();
}

describe("createRoundTrip()", () => {
  test("is slow at three times the usual and 50 ms more, whatever is usual", () => {
    expect(slowAfter(1, 40)).toBe(false);
    expect(slowAfter(1, 60)).toBe(true);
    expect(slowAfter(100, 250)).toBe(false);
    expect(slowAfter(100, 400)).toBe(true);
  });

  test("is not slow for a single late answer, nor while little is known", () => {
    const roundTrip = known(1);
    roundTrip.add(150);
    expect(roundTrip.isSlow()).toBe(false);
    const young = createRoundTrip(DEFAULT_LIMITS);
    for (const ms of [1, 200, 200, 200]) young.add(ms);
    expect(young.isSlow()).toBe(false);
  });

  test("does not flap around its limit", () => {
    const roundTrip = known(10);
    for (let i = 0; i < 20; i += 1) roundTrip.add(70);
    expect(roundTrip.isSlow()).toBe(true);
    let changes = 0;
    let before = true;
    for (let i = 0; i < 200; i += 1) {
      roundTrip.add(i % 20 < 10 ? 70 : 50);
      if (roundTrip.isSlow() !== before) changes += 1;
      before = roundTrip.isSlow();
    }
    expect(changes).toBe(0);
    for (let i = 0; i < 20; i += 1) roundTrip.add(12);
    expect(roundTrip.isSlow()).toBe(false);
  });

  test("learns a longer way in the end", () => {
    const roundTrip = known(10);
    for (let i = 0; i < 36_000; i += 1) roundTrip.add(100);
    expect(roundTrip.isSlow()).toBe(false);
    expect(roundTrip.usualMs()).toBeGreaterThan(50);
  });

  test("no answer says nothing", () => {
    const roundTrip = createRoundTrip(DEFAULT_LIMITS);
    roundTrip.add(undefined);
    expect(roundTrip.nowMs()).toBeUndefined();
    expect(roundTrip.usualMs()).toBeUndefined();
  });
});
