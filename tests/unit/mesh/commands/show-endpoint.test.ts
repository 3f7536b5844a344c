import { expect, test } from "@jest/globals";
import { formatPlane, formatRuleName } from "../../../../mesh/commands/show-endpoint.ts";

test("formatPlane() names numbers that stand for many, reserved ones and CIDRs", () => {
  expect([0, 1, 11, 12, 13, 65_537].map((number) => formatPlane(number, ""))).toEqual([
    "0 (anybody)",
    "1 (host)",
    "11 (pods of this cluster)",
    "12 (pods of other clusters)",
    "13 (the world)",
    "65537",
  ]);
  expect(formatPlane(16_777_216, "10.0.0.0/8")).toBe("16777216 (10.0.0.0/8)");
});

test("formatRuleName() has a dash for no rule", () => {
  expect(formatRuleName(null)).toBe("-");
  expect(formatRuleName({ policy: "", path: "" })).toBe("-");
  expect(formatRuleName({ policy: "NetworkPolicy/a/b", path: "spec.ingress[0]" })).toBe(
    "NetworkPolicy/a/b spec.ingress[0]",
  );
});
