import { describe, expect, test } from "@jest/globals";
import { compareVersions, imageOfVersion } from "../../../../mesh/install/versions.ts";

describe("compareVersions()", () => {
  for (const [older, newer] of [
    ["0.1.0", "0.1.1"],
    ["0.9.0", "0.10.0"],
    ["1.0.0-rc.1", "1.0.0"],
    ["1.0.0-rc.1", "1.0.0-rc.2"],
  ] as const) {
    test(`puts ${older} before ${newer}`, () => {
      expect(compareVersions(older, newer)).toBeLessThan(0);
      expect(compareVersions(newer, older)).toBeGreaterThan(0);
    });
  }

  test("finds a version equal to itself, and refuses what is none", () => {
    expect(compareVersions("1.2.3", "1.2.3")).toBe(0);
    expect(() => compareVersions("latest", "1.2.3")).toThrow('Cannot compare version "latest"');
  });
});

describe("imageOfVersion()", () => {
  for (const [image, wanted] of [
    ["tombolo:0.1.0", "tombolo:0.2.0"],
    ["registry.example/tombolo:0.1.0", "registry.example/tombolo:0.2.0"],
    ["registry.example/tombolo:v0.1.0", "registry.example/tombolo:v0.2.0"],
    ["registry.example/tombolo:mine", "registry.example/tombolo:mine"],
  ] as const) {
    test(`makes ${wanted} of ${image}`, () => {
      expect(imageOfVersion(image, { from: "0.1.0", to: "0.2.0" })).toBe(wanted);
    });
  }
});
