import { expect, test } from "@jest/globals";
import {
  formatExplanation,
  formatPolicy,
  isCalled,
  policyName,
} from "../../../../mesh/commands/show-policy.ts";
import { ENDPOINT, POLICY, REFUSED_POLICY } from "../../../fakes/agent-policy-answers.ts";

const output = { write: () => {}, colour: false };

test("isCalled() takes the name with or without its kind", () => {
  expect(policyName(POLICY)).toBe("NetworkPolicy/shop/cart");
  expect(isCalled(POLICY, "shop/cart")).toBe(true);
  expect(isCalled(POLICY, "NetworkPolicy/shop/cart")).toBe(true);
  expect(isCalled(POLICY, "cart")).toBe(false);
  expect(isCalled(REFUSED_POLICY, "l7")).toBe(true);
});

test("formatPolicy() says that a policy is not in force yet, and that a rule means nobody", () => {
  const rules = POLICY.rules.map((rule) => ({
    ...rule,
    traffic: rule.traffic.map((traffic) => ({ ...traffic, peers: [], anyPort: true })),
  }));
  const text = formatPolicy({ ...POLICY, inForce: false, rules }, output);
  expect(text).toContain("NetworkPolicy/shop/cart: not in force yet\n");
  expect(text).toMatch(/nobody +any\n$/);
});

test("formatExplanation() says that nothing is about a pod", () => {
  const open = { ...ENDPOINT, ingressDefaultDeny: false };
  expect(formatExplanation(open, [], output).split("\n").slice(1)).toEqual([
    "",
    "ingress: everything that is not denied",
    "",
    "egress: everything that is not denied",
    "",
  ]);
});
