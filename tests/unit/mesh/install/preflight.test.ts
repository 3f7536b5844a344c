import { describe, expect, test } from "@jest/globals";
import type { ClusterFacts } from "../../../../mesh/install/facts.ts";
import { judgeInstall } from "../../../../mesh/install/preflight.ts";
import { parseSettings } from "../../../../mesh/install/settings.ts";

const settings = parseSettings({ "cluster-name": "east", "cluster-id": "1" }, "0.2.0");
const FACTS: ClusterFacts = {
  server: "https://east",
  version: "v1.31.0",
  minor: 31,
  budgetVersion: "policy/v1",
  denied: [],
  namespace: "missing",
  installed: undefined,
  installedNamespace: undefined,
  nodes: [{ name: "node1", podCidrs: ["10.1.1.0/24"], ready: true }],
};
const judge = (facts: Partial<ClusterFacts>, wanted = settings): string[] =>
  judgeInstall({ ...FACTS, ...facts }, { settings: wanted, version: "0.2.0" });

describe("judgeInstall()", () => {
  test("has nothing to say of an empty cluster", () => expect(judge({})).toEqual([]));

  const east = { cluster: settings.cluster, settings, version: "0.2.0" };
  for (const [what, facts, message] of [
    ["an old server", { minor: 19, version: "v1.19.0" }, "it is Kubernetes v1.19.0, want 1.20"],
    [
      "missing permissions",
      { denied: ["create deployments.apps"] },
      "do not allow to create deployments.apps",
    ],
    ["a namespace that goes", { namespace: "terminating" }, "it is being deleted"],
    ["another place", { installedNamespace: "mesh" }, 'installed in namespace "mesh"'],
    [
      "another cluster",
      { installed: { ...east, cluster: { ...settings.cluster, id: 2 } } },
      'it is installed as "east" (id 2)',
    ],
    [
      "another version",
      { installed: { ...east, version: "0.1.0" } },
      "Cannot install version 0.2.0: version 0.1.0 is installed",
    ],
    [
      "nodes without addresses",
      { nodes: "abcdefg".split("").map((name) => ({ name, podCidrs: [], ready: true })) },
      "nodes a, b, c, d, e and 2 more have no pod CIDR",
    ],
  ] as const) {
    test(`refuses ${what}`, () => expect(() => judge(facts)).toThrow(message));
  }

  test("wants no pod CIDRs where another plugin gives addresses", () => {
    const nodes = [{ name: "node1", podCidrs: [], ready: true }];
    expect(judge({ nodes }, { ...settings, cni: "chained" })).toEqual([]);
  });

  test("tells which settings change, and what else an operator should know", () => {
    const installed = { ...east, settings: { ...settings, underlayMtu: 9000 } };
    expect(judge({ installed, namespace: "foreign", nodes: [] })).toEqual([
      "the cluster has no nodes yet",
      'namespace "tombolo-system" was there before and stays when Tombolo is uninstalled',
      'setting --mtu changes from "9000" to "1500"',
    ]);
  });
});
