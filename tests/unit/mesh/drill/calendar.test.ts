import { describe, expect, test } from "@jest/globals";
import { isAllowed, nextStart, parseWindow, WEEKDAYS } from "../../../../mesh/drill/calendar.ts";

const MINUTE = 60_000;
/** A Monday. */
const MONDAY = Date.UTC(2026, 5, 1);

describe("nextStart()", () => {
  const weekly = { days: ["tue"], atMinute: 180, jitterMs: 0, windows: [] } as const;

  test("is the next day and time that fit", () => {
    expect(nextStart(weekly, "d", MONDAY)).toBe(Date.UTC(2026, 5, 2, 3));
    expect(nextStart(weekly, "d", Date.UTC(2026, 5, 2, 3))).toBe(Date.UTC(2026, 5, 9, 3));
  });

  test("is late by chance, the same for whoever asks again", () => {
    const jittered = { ...weekly, days: WEEKDAYS, jitterMs: 30 * MINUTE };
    const start = nextStart(jittered, "d", MONDAY) ?? 0;
    expect(start - Date.UTC(2026, 5, 1, 3)).toBeGreaterThanOrEqual(0);
    expect(start - Date.UTC(2026, 5, 1, 3)).toBeLessThan(30 * MINUTE);
    expect(nextStart(jittered, "d", start - 1)).toBe(start);
    expect(nextStart(jittered, "other", MONDAY)).not.toBe(start);
  });

  test("passes over days outside the windows, and is none where none fits", () => {
    const daily = { ...weekly, days: WEEKDAYS };
    const weekend = parseWindow("sat,sun 00:00-06:00");
    if (weekend === undefined) throw new Error("no window");
    const start = nextStart({ ...daily, windows: [weekend] }, "d", MONDAY);
    expect(start).toBe(Date.UTC(2026, 5, 6, 3));
    const evening = parseWindow("mon-fri 20:00-21:00");
    if (evening === undefined) throw new Error("no window");
    expect(nextStart({ ...daily, windows: [evening] }, "d", MONDAY)).toBeUndefined();
  });
});

describe("isAllowed()", () => {
  test("a window may last beyond midnight, and a range of days beyond the week", () => {
    const night = parseWindow("fri-mon 22:00-02:00");
    if (night === undefined) throw new Error("no window");
    expect(night.days).toEqual(["fri", "sat", "sun", "mon"]);
    expect(isAllowed([night], MONDAY + 23 * 60 * MINUTE)).toBe(true);
    expect(isAllowed([night], MONDAY + 25 * 60 * MINUTE)).toBe(true);
    expect(isAllowed([night], MONDAY + 27 * 60 * MINUTE)).toBe(false);
    expect(isAllowed([night], MONDAY + 47 * 60 * MINUTE)).toBe(false);
  });
});

describe("parseWindow()", () => {
  for (const text of ["", "mon 2:00-3:00", "mon-xyz 02:00-03:00", "02:00-02:00", "24:00-25:00"]) {
    test(`refuses "${text}"`, () => expect(parseWindow(text)).toBeUndefined());
  }
});
