import { expect, test } from "@jest/globals";
import { formatFlow, formatObserved } from "../../../../mesh/commands/show-flow.ts";
import { FLOW, WORLD_FLOW } from "../../../fakes/agent-policy-answers.ts";

const output = { write: () => {}, colour: false };

test("formatFlow() says who, what, and why it was dropped", () => {
  expect(formatFlow(FLOW, output)).toBe(
    "10:00:00.250  dropped    ingress  TCP     shop/web-1@west 10.2.1.9:40000 → " +
      "shop/cart-1@east 10.1.1.5:8080  no-policy  (3 packets 180 B)",
  );
});

test("formatFlow() names reserved ends, the rule, and what came back", () => {
  expect(formatFlow(WORLD_FLOW, output)).toBe(
    "10:00:01.250  forwarded  ingress  TCP     world-ipv6 [2001:db8::7]:40001 → " +
      "shop/cart-1@east 10.1.1.5:8080  closed  NetworkPolicy/shop/cart spec.ingress[0]  " +
      "(1 packets 60 B, back 2 packets 1500 B)",
  );
});

test("formatFlow() has no ports for ICMP, and numbers for whom nobody knows", () => {
  const source = { ...FLOW.source, identity: 70_000, pod: "", namespace: "" };
  const flow = { ...FLOW, protocol: "ICMP", source: { ...WORLD_FLOW.source, ...source } };
  const text = formatFlow({ ...flow, destination: null } as typeof FLOW, output);
  expect(text).toContain("identity 70000@west 10.2.1.9 → ?");
});

test("formatObserved() says how many were lost", () => {
  const lost = { flow: null, lost: 4 };
  expect(formatObserved(lost, { format: "table", output })).toBe(
    "! 4 records were lost: they came faster than read\n",
  );
  expect(formatObserved({ flow: FLOW, lost: 4 }, { format: "json", output })).toBe(
    `{"lost":4}\n${JSON.stringify(FLOW)}\n`,
  );
});
