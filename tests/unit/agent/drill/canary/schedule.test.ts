// When requests are due: at the rate, from the start, without bursts after a pause.
import { describe, expect, test } from "@jest/globals";
import { createSchedule } from "../../../../../agent/drill/canary/schedule.ts";

describe("createSchedule()", () => {
  test("numbers requests from 0 and keeps the rate whatever the looks", () => {
    const schedule = createSchedule([100], 1_000);
    expect(schedule.take(1_000)).toEqual([{ order: 0, n: 0 }]);
    expect(schedule.take(1_009)).toEqual([]);
    expect(schedule.take(1_035).map(({ n }) => n)).toEqual([1, 2, 3]);
    expect(schedule.nextMs).toBe(1_040);
  });

  test("spreads orders of one rate over an interval", () => {
    const schedule = createSchedule([10, 10], 0);
    expect(schedule.take(0)).toEqual([{ order: 0, n: 0 }]);
    expect(schedule.nextMs).toBe(50);
    expect(schedule.take(120)).toEqual([
      { order: 1, n: 0 },
      { order: 0, n: 1 },
    ]);
  });

  test("does not send later what a pause has kept from being sent", () => {
    const schedule = createSchedule([100], 0);
    schedule.take(0);
    expect(schedule.take(3_000)).toEqual([{ order: 0, n: 1 }]);
    expect(schedule.nextMs).toBe(3_010);
  });

  test("sends nothing for a rate of 0, and nothing without orders", () => {
    const schedule = createSchedule([0, 1], 0);
    expect(schedule.take(10_000).every(({ order }) => order === 1)).toBe(true);
    expect(createSchedule([], 0).nextMs).toBe(Number.POSITIVE_INFINITY);
  });
});
