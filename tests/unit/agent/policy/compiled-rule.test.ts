import { describe, expect, test } from "@jest/globals";
import { createCidrNumbers } from "../../../../agent/policy/cidr-numbers.ts";
import {
  compilePolicy,
  createTrafficPeers,
  type CompiledRule,
} from "../../../../agent/policy/compiled-rule.ts";
import { createPeerSets } from "../../../../agent/policy/peer-sets.ts";
import { createRuleNumbers, type RuleNumbers } from "../../../../agent/policy/rule-numbers.ts";
import type { Policy } from "../../../../mesh/core/policy.ts";
import { allow, cidr, deny, policy, portNamed, tcp } from "./small-mesh.ts";

function compile(given: Policy, numbers: RuleNumbers = createRuleNumbers({ first: 1 })) {
  return compilePolicy("p", { policy: given, numbers });
}

describe("compilePolicy()", () => {
  test("numbers each traffic rule, and makes prefixes of its ports", () => {
    const [rule] = compile(
      policy({ ingress: [allow([], [tcp(80), portNamed("api")])], egress: [deny()] }),
    );
    expect(rule?.traffic).toMatchObject([
      {
        direction: "ingress",
        verdict: "allow",
        rule: { number: 1 },
        peers: [],
        ports: [{ protocol: 6, port: 80, bits: 16 }],
        named: [{ name: "api" }],
      },
      { direction: "egress", verdict: "deny", peers: [undefined], ports: [{ protocol: 0 }] },
    ]);
  });

  test("no ports is nothing, ports that are not named is everything", () => {
    const [rule] = compile(policy({ ingress: [allow(undefined, []), allow()] }));
    expect(rule?.traffic.map(({ ports }) => ports.length)).toEqual([0, 1]);
  });

  test("finds all prefixes, and refuses a bad one before it numbers anything", () => {
    const good = policy({ ingress: [allow([cidr("10.0.0.0/8", "10.1.0.0/16")])] });
    const [rule] = compile(good);
    expect(rule?.prefixes.map(({ text }) => text)).toEqual(["10.0.0.0/8", "10.1.0.0/16"]);
    const numbers = createRuleNumbers({ first: 1 });
    const bad = policy({ ingress: [allow()], egress: [allow([cidr("fd00::1/64")])] });
    expect(() => compile(bad, numbers)).toThrow(/fd00::1\/64/);
    expect(numbers.nameOf(1)).toBeUndefined();
  });
});

test("peer sets of a rule are there while somebody uses it", () => {
  const numbers = createCidrNumbers({ adopted: [], onChange: () => {} });
  const peers = createTrafficPeers(createPeerSets({ ownCluster: "east", numbers }));
  const [rule] = compile(policy({ ingress: [allow([cidr("10.0.0.0/8")])] })) as [CompiledRule];
  const [traffic] = rule.traffic;
  if (traffic === undefined) throw new Error("no traffic rule");
  expect(peers.setsOf(traffic)).toEqual([]);
  const sets = peers.acquire(traffic);
  expect(peers.acquire(traffic)).toBe(sets);
  peers.release(traffic);
  expect([peers.setsOf(traffic), numbers.isNew]).toEqual([sets, true]);
  peers.release(traffic);
  expect([peers.setsOf(traffic), numbers.isNew]).toEqual([[], false]);
});
