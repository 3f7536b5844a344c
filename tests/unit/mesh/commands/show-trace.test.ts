import { expect, test } from "@jest/globals";
import { differs, formatTrace, isAllowed } from "../../../../mesh/commands/show-trace.ts";
import { TRACE } from "../../../fakes/agent-policy-answers.ts";

const output = { write: () => {}, colour: false };
const END = { direction: "ingress", end: "shop/cart-1@east", trace: TRACE, why: "" } as const;
const DENIED = { verdict: "deny", why: "no rule allows it", rule: null };

test("formatTrace() shows both answers, the rule, and all that speak of the packet", () => {
  const text = formatTrace({ packet: "a → b 8080/TCP", ends: [END] }, output);
  expect(text).toBe(
    [
      "a → b 8080/TCP: allowed",
      "",
      "ingress at shop/cart-1@east, node east-1, identity 65537: drops what no rule allows",
      "  other end  identity 131073, address 10.2.1.9, aggregate 12 (pods of other clusters)",
      "             k8s:app=web k8s:io.cilium.k8s.policy.cluster=west",
      "  policies   allow: allowed by a rule, NetworkPolicy/shop/cart spec.ingress[0]",
      "  datapath   allow: allowed by a rule, NetworkPolicy/shop/cart spec.ingress[0]",
      "   VERDICT  RULE                                     PEER              PORT",
      "*  allow    NetworkPolicy/shop/cart spec.ingress[0]  pods k8s:app=web  TCP 8080",
      "",
    ].join("\n"),
  );
});

test("formatTrace() marks where the kernel says something else", () => {
  const ends = [{ ...END, trace: { ...TRACE, datapath: DENIED } }];
  const text = formatTrace({ packet: "p", ends }, output);
  expect(text).toContain("  datapath   deny: no rule allows it\n");
  expect(text).toContain("! the kernel's map differs from the policies\n");
  expect(isAllowed(ends)).toBe(false);
});

test("formatTrace() says what it cannot see", () => {
  const unseen = { ...END, trace: undefined, why: "not a pod of the nodes that were asked" };
  expect(formatTrace({ packet: "p", ends: [unseen] }, output)).toMatch(/^p: not known, as far/);
  const denied = { ...END, trace: { ...TRACE, policy: DENIED } };
  expect(formatTrace({ packet: "p", ends: [unseen, denied] }, output)).toMatch(/^p: denied\n/);
});

test("differs() is about maps that can be read", () => {
  expect(differs(TRACE)).toBe(false);
  expect(differs({ ...TRACE, datapath: null })).toBe(false);
  expect(differs({ ...TRACE, datapath: { verdict: "", why: "no row", rule: null } })).toBe(false);
  expect(differs({ ...TRACE, datapath: DENIED })).toBe(true);
});
