import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeTimestamp, parseTimestamp } from "../../../../../mesh/kvstore/records/timestamp.ts";
import { damaged } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const NOON = Date.UTC(2026, 0, 31, 12);

describe("parseTimestamp()", () => {
  for (const text of [
    "2026-01-31T12:00:00Z",
    "2026-01-31T13:00:00+01:00",
    "2026-01-31T12:00:00.000000000Z",
  ]) {
    test(`parseTimestamp() reads ${text}`, () => {
      expect(parseTimestamp("cilium/.heartbeat", Buffer.from(text))).toBe(NOON);
    });
  }

  for (const text of ["", "now", "1769860800", "2026-01-31", "2026-13-31T12:00:00Z"]) {
    test(`parseTimestamp() refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseTimestamp("cilium/.heartbeat", Buffer.from(text))).toThrow(
        'Cannot use timestamp "cilium/.heartbeat": want a time such as 2026-01-31T12:00:00Z',
      );
    });
  }

  test("parses or refuses, whatever bytes it is given", () => {
    fc.assert(
      fc.property(damaged(fc.constant(encodeTimestamp(NOON))), (bytes) => {
        const parsed = parsedOrRefused(() => parseTimestamp("t", bytes));
        expect(Number.isNaN(parsed)).toBe(false);
      }),
    );
  });
});

describe("encodeTimestamp()", () => {
  test("writes whole seconds, as Go does", () => {
    expect(encodeTimestamp(NOON + 999).toString()).toBe("2026-01-31T12:00:00Z");
  });
});
