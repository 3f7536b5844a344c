// Who may read what in a cluster's etcd.
import { describe, expect, test } from "@jest/globals";
import { planAuth, type KeyRange } from "../../../../mesh/kvstore/etcd-auth.ts";

const plan = planAuth({ cluster: "east", remotes: ["west", "north"] });

function mayRead(roleName: string, key: string): boolean {
  const ranges: readonly KeyRange[] = plan.roles.find(({ name }) => name === roleName)?.reads ?? [];
  return ranges.some((range) => (range.prefix ? key.startsWith(range.key) : key === range.key));
}

describe("planAuth()", () => {
  test("has one admin, one local user and one for each remote cluster", () => {
    expect(plan.users).toEqual([
      { name: "admin-east", role: "root" },
      { name: "local-east", role: "local" },
      { name: "remote-west", role: "remote" },
      { name: "remote-north", role: "remote" },
    ]);
  });

  for (const [key, local, remote] of [
    ["cilium/.heartbeat", true, true],
    ["cilium/state/nodes/v1/east/n1", true, true],
    ["cilium/cache/nodes/v1/west/n1", true, false],
    ["cilium/cluster-config/east", true, true],
    ["cilium/cluster-config/east2", true, false],
    ["cilium/cluster-config/west", true, false],
    ["cilium/synced/east/x", true, true],
    ["cilium/synced/east2/x", true, false],
    ["tombolo/state/versions/v1/east", true, true],
    ["tombolo/local/services/v1/east/a/b", true, false],
    ["tombolo/cache/versions/v1/west", true, false],
    ["anything/else", false, false],
  ] as const)
    test(`lets local ${local ? "" : "not "}and remote ${remote ? "" : "not "}read ${key}`, () => {
      expect(mayRead("local", key)).toBe(local);
      expect(mayRead("remote", key)).toBe(remote);
    });
});
