import { describe, expect, test } from "@jest/globals";
import {
  findCluster,
  findNode,
  labMembers,
  labNodes,
  linkAddress,
  planLab,
} from "../../../../deploy/lab/plan.ts";
import { parsePrefix, prefixesOverlap } from "../../../../mesh/core/address.ts";

const SIZE = { name: "lab", clusters: ["east", "west"], nodesPerCluster: 2 };

describe("planLab()", () => {
  test("gives each member a namespace, a link of its own and a cgroup, by name", () => {
    const plan = planLab(SIZE, "/home/of/lab");
    expect(plan.routerNamespace).toBe("tombolo-lab-router");
    expect(labMembers(plan).map(({ namespace }) => namespace)).toEqual([
      "tombolo-lab-east-control",
      "tombolo-lab-east-node1",
      "tombolo-lab-east-node2",
      "tombolo-lab-west-control",
      "tombolo-lab-west-node1",
      "tombolo-lab-west-node2",
    ]);
    expect(findNode(findCluster(plan, "west"), "node2")).toMatchObject({
      name: "west-node2",
      routerDevice: "c2-node2",
      cgroup: "west-node2",
      podsCgroup: "west-node2/pods",
      bpfRoot: "/run/tombolo/lab/bpf/west-node2",
      stateDirectory: "/home/of/lab/lab/lab/nodes/west-node2/state",
      podPrefixes: ["10.2.2.0/24", "fd00:10:2:2::/64"],
      links: [
        { family: 4, address: "198.18.2.10", routerAddress: "198.18.2.9", prefixLength: 30 },
        { family: 6, address: "fd00:18:2:2::2", routerAddress: "fd00:18:2:2::1" },
      ],
    });
  });

  test("never gives two things one prefix, address, device or name, in the largest lab", () => {
    const clusters = Array.from({ length: 64 }, (_, i) => `c${i}`);
    const plan = planLab({ name: "big", clusters, nodesPerCluster: 32 }, "/h");
    const members = labMembers(plan);
    expect(new Set(members.map(({ namespace }) => namespace)).size).toBe(64 * 33);
    expect(new Set(members.map(({ routerDevice }) => routerDevice)).size).toBe(64 * 33);
    expect(members.every(({ routerDevice }) => routerDevice.length <= 15)).toBe(true);
    for (const family of [4, 6] as const) {
      expect(new Set(members.map((member) => linkAddress(member, family))).size).toBe(64 * 33);
    }
    const texts = [
      ...labNodes(plan).flatMap(({ podPrefixes }) => podPrefixes),
      ...plan.members.flatMap(({ servicePrefixes }) => servicePrefixes),
      "198.18.0.0/15",
      "fd00:18::/32",
    ];
    const prefixes = texts.map(parsePrefix).sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    for (const family of [4, 6]) {
      const sorted = prefixes.filter((prefix) => prefix.family === family);
      for (const [i, prefix] of sorted.entries()) {
        const next = sorted[i + 1];
        if (next !== undefined)
          expect([prefix.text, next.text, prefixesOverlap(prefix, next)]).toEqual([
            prefix.text,
            next.text,
            false,
          ]);
      }
    }
  });

  for (const [what, change] of [
    ["a name with a dash", { name: "my-lab" }],
    ["an empty name", { name: "" }],
    ["no cluster", { clusters: [] }],
    ["the same cluster twice", { clusters: ["east", "east"] }],
    ["a bad cluster name", { clusters: ["East"] }],
    ["no node", { nodesPerCluster: 0 }],
    ["half a node", { nodesPerCluster: 1.5 }],
    ["too many nodes", { nodesPerCluster: 33 }],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => planLab({ ...SIZE, ...change }, "/h")).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    });
  }
});

describe("findCluster() and findNode()", () => {
  test("name what there is when they find nothing", () => {
    const plan = planLab(SIZE, "/h");
    expect(() => findCluster(plan, "north")).toThrow(
      expect.objectContaining({ code: "not_found", hint: "there are: east, west" }),
    );
    expect(() => findNode(findCluster(plan, "east"), "node3")).toThrow(
      expect.objectContaining({ code: "not_found", hint: "there are: node1, node2" }),
    );
    expect(findNode(findCluster(plan, "east"), "east-node1").member).toBe("node1");
  });
});
