import { describe, expect, test } from "@jest/globals";
import { planLab } from "../../../../deploy/lab/plan.ts";
import { cutRules } from "../../../../deploy/lab/underlay.ts";

const plan = planLab({ name: "test", clusters: ["east", "west"], nodesPerCluster: 2 }, "/home");

describe("cutRules", () => {
  test("drops what a cluster sends and is sent, and keeps what stays inside it", () => {
    expect(cutRules(plan, { where: "west", direction: "both" }, 4)).toEqual([
      "pref 1000 from 198.18.2.0/24 to 198.18.2.0/24 lookup main",
      "pref 1001 from 198.18.2.0/24 blackhole",
      "pref 1001 from all to 198.18.2.0/24 blackhole",
    ]);
  });

  test("drops one direction only when asked", () => {
    expect(cutRules(plan, { where: "east", direction: "outbound" }, 6)).toEqual([
      "pref 1000 from fd00:18:1::/48 to fd00:18:1::/48 lookup main",
      "pref 1001 from fd00:18:1::/48 blackhole",
    ]);
  });

  test("cuts everything of a single node", () => {
    expect(cutRules(plan, { where: "east/node1", direction: "inbound" }, 4)).toEqual([
      "pref 1001 from all to 198.18.1.6 blackhole",
    ]);
  });

  test("names what the lab has when asked for something else", () => {
    const cut = { where: "north", direction: "both" } as const;
    expect(() => cutRules(plan, cut, 4)).toThrow('Cannot find cluster "north" in lab "test"');
    expect(() => cutRules(plan, { ...cut, where: "east/node1/x" }, 4)).toThrow(
      'Cannot cut "east/node1/x": want CLUSTER or CLUSTER/NODE',
    );
  });
});
