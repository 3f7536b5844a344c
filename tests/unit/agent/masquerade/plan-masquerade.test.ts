import { expect, test } from "@jest/globals";
import { planMasquerade } from "../../../../agent/masquerade/plan-masquerade.ts";

test("planMasquerade() has a rule for each family that there is, behind the ways into the mesh", () => {
  const script = planMasquerade({
    podPrefixes: ["10.1.1.0/24", "10.9.0.0/24", "fd00:1::/64"],
    devices: ["tombolo_vxlan"],
  });
  expect(script.split("\n").slice(2, -1)).toEqual([
    "table inet tombolo {",
    "  chain leaving {",
    "    type nat hook postrouting priority srcnat; policy accept;",
    '    oifname { "tombolo_vxlan", "lo" } return',
    '    oifname "tbl*" return',
    "    ip saddr { 10.1.1.0/24, 10.9.0.0/24 } masquerade",
    "    ip6 saddr { fd00:1::/64 } masquerade",
    "  }",
    "}",
  ]);
  expect(planMasquerade({ podPrefixes: ["10.1.1.0/24"], devices: [] })).not.toContain("ip6");
});
