import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeVersion, parseVersion } from "../../../../../mesh/kvstore/records/version.ts";
import { damaged } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

describe("parseVersion()", () => {
  for (const version of ["0.1.0", "1.20.3-rc.1", "2.0.0+build.7"]) {
    test(`parseVersion() reads ${version}`, () => {
      expect(parseVersion("east", encodeVersion(version))).toBe(version);
    });
  }

  for (const text of ["{}", '{"version":1}', '{"version":"v1"}', '{"version":""}', '"0.1.0"']) {
    test(`parseVersion() refuses ${text}`, () => {
      expect(() => parseVersion("east", Buffer.from(text))).toThrow(/^Cannot use version "east": /);
    });
  }

  test("parses or refuses, whatever bytes it is given", () => {
    fc.assert(
      fc.property(damaged(fc.constant(encodeVersion("0.1.0"))), (bytes) => {
        const parsed = parsedOrRefused(() => parseVersion("east", bytes));
        expect(parsed === undefined || parsed.length <= 64).toBe(true);
      }),
    );
  });
});

describe("encodeVersion()", () => {
  test("writes JSON", () => {
    expect(encodeVersion("0.1.0").toString()).toBe('{"version":"0.1.0"}');
  });
});
