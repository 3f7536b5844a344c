import { expect, test } from "@jest/globals";
import {
  PolicyEnforcement,
  PolicyVerdict,
  TrafficDirection,
  type PolicyEntry,
  type PolicyKey,
} from "../../../../bpf/gen/layout.ts";
import { policyStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createMemoryPolicyMaps } from "../../../../bpf/memory-policy-maps.ts";
import { collectPolicies, formatProtocol } from "../../../../mesh/commands/bpf-policy.ts";

const ALLOW: PolicyEntry = { verdict: PolicyVerdict.allow, rule: 3 };

function key(fields: Partial<PolicyKey>): PolicyKey {
  const direction = TrafficDirection.ingress;
  return { prefixLength: 40, identity: 0, direction, protocol: 0, port: 0, ...fields };
}

test("collectPolicies() shows each pod's entries with their ports as ranges", () => {
  const policyState = createMemoryMap(policyStateMap);
  const policies = createMemoryPolicyMaps();
  const enforcement = PolicyEnforcement.on;
  policyState.put({ ifindex: 9 }, { identity: 65_538, revision: 1, enforcement });
  policyState.put({ ifindex: 7 }, { identity: 65_537, revision: 4, enforcement });
  policies.replace(7, [
    [key({ identity: 65_540, prefixLength: 60, protocol: 6, port: 8080 }), ALLOW],
    [key({ identity: 65_540, prefixLength: 64, protocol: 6, port: 443 }), ALLOW],
    [key({ identity: 65_540, prefixLength: 48, protocol: 17 }), { verdict: 2, rule: 4 }],
    [key({ direction: TrafficDirection.egress }), { ...ALLOW, rule: 0 }],
  ]);
  const views = collectPolicies({ policyState, policies });
  expect(views.map(({ ifindex, entries }) => [ifindex, entries.length])).toEqual([
    [7, 4],
    [9, 0],
  ]);
  const row = { direction: "ingress", identity: 65_540, verdict: "allow", rule: 3 };
  const all = { firstPort: 0, lastPort: 65_535 };
  expect(views[0]).toEqual({
    ifindex: 7,
    identity: 65_537,
    revision: 4,
    enforcement: "on",
    entries: [
      { ...row, protocol: 6, firstPort: 443, lastPort: 443 },
      { ...row, protocol: 6, firstPort: 8080, lastPort: 8095 },
      { ...row, protocol: 17, ...all, verdict: "deny", rule: 4 },
      { direction: "egress", identity: 0, protocol: 0, ...all, verdict: "allow", rule: 0 },
    ],
  });
});

test("formatProtocol() names what it knows", () => {
  expect([0, 6, 17, 58, 47].map(formatProtocol)).toEqual(["any", "TCP", "UDP", "ICMPv6", "47"]);
});
