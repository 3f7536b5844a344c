import { describe, expect, test } from "@jest/globals";
import {
  parseClusterId,
  parseClusterName,
  parseMaxConnectedClusters,
} from "../../../../mesh/core/cluster.ts";

const refused = expect.objectContaining({ code: "invalid_argument" });

describe("parseClusterName()", () => {
  for (const name of ["a", "east", "0", "a-b", "a".repeat(32)]) {
    test(`parseClusterName() accepts "${name}"`, () => {
      expect(parseClusterName(name)).toBe(name);
    });
  }

  for (const name of [
    "",
    "-a",
    "a-",
    "East",
    "a.b",
    "a/b",
    "a b",
    "ä",
    "a\n",
    "default",
    "a".repeat(33),
    undefined,
    null,
    7,
    {},
  ]) {
    test(`parseClusterName() refuses ${JSON.stringify(name)}`, () => {
      expect(() => parseClusterName(name)).toThrow(refused);
    });
  }
});

describe("parseClusterId()", () => {
  test("accepts 1 to the width of the mesh", () => {
    expect([parseClusterId(1), parseClusterId(255), parseClusterId(511, 511)]).toEqual([
      1, 255, 511,
    ]);
  });

  for (const [id, max] of [
    [0, 255],
    [-1, 255],
    [256, 255],
    [512, 511],
    [1.5, 255],
    [Number.NaN, 255],
    ["1", 255],
    [undefined, 255],
  ] as const) {
    test(`parseClusterId() refuses ${JSON.stringify(id)} of ${max}`, () => {
      expect(() => parseClusterId(id, max)).toThrow(refused);
    });
  }
});

describe("parseMaxConnectedClusters()", () => {
  test("accepts 255 and 511 only", () => {
    expect(parseMaxConnectedClusters(255)).toBe(255);
    expect(parseMaxConnectedClusters(511)).toBe(511);
    for (const value of [0, 256, "255", undefined]) {
      expect(() => parseMaxConnectedClusters(value)).toThrow(refused);
    }
  });
});
