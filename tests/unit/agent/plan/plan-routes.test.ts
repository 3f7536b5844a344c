import { describe, expect, test } from "@jest/globals";
import {
  overlayMtu,
  planCniNode,
  planNodeRoutes,
  sameRoute,
  type NodeRoute,
} from "../../../../agent/plan/plan-routes.ts";
import { EAST, testNode, WEST } from "../../../fakes/agent-cluster.ts";

const CONTEXT = {
  ownNode: { cluster: "east", name: "east-1", addresses: new Set(["172.16.1.1"]) },
  mtu: 1450,
  sources: ["10.1.1.1", "fd00:1:1::1"],
};

describe("planNodeRoutes()", () => {
  test("leads another node's pod prefixes into the overlay, from our address of that family", () => {
    const node = testNode(WEST, {
      name: "west-1",
      addresses: ["172.16.2.1"],
      podPrefixes: ["10.2.1.0/24", "fd00:2:1::/64"],
    });
    expect(planNodeRoutes(node, CONTEXT)).toEqual([
      { kind: "overlay", prefix: "10.2.1.0/24", mtu: 1450, source: "10.1.1.1" },
      { kind: "overlay", prefix: "fd00:2:1::/64", mtu: 1450, source: "fd00:1:1::1" },
    ]);
  });

  test("names no source where we have no address of the family", () => {
    const node = testNode(WEST, {
      name: "west-1",
      addresses: ["172.16.2.1"],
      podPrefixes: ["fd00:2:1::/64"],
    });
    expect(planNodeRoutes(node, { ...CONTEXT, sources: ["10.1.1.1"] })).toMatchObject([
      { source: "" },
    ]);
  });

  test("ends our own pod prefixes here", () => {
    const node = testNode(EAST, {
      name: "east-1",
      addresses: ["172.16.1.1"],
      podPrefixes: ["10.1.1.0/24"],
    });
    expect(planNodeRoutes(node, CONTEXT)).toEqual([{ kind: "unreachable", prefix: "10.1.1.0/24" }]);
  });

  test("leaves our own prefixes alone where another plugin gives addresses", () => {
    const node = testNode(EAST, {
      name: "east-1",
      addresses: ["172.16.1.1"],
      podPrefixes: ["10.1.1.0/24"],
    });
    expect(planNodeRoutes(node, { ...CONTEXT, foreignAddresses: true })).toEqual([]);
  });

  test("has no route to a node without an address", () => {
    const node = testNode(WEST, { name: "w", addresses: [], podPrefixes: ["10.2.1.0/24"] });
    expect(planNodeRoutes(node, CONTEXT)).toEqual([]);
  });
});

describe("overlayMtu()", () => {
  for (const [address, wanted] of [
    ["172.16.1.1", 1450],
    ["2001:db8::1", 1430],
  ] as const) {
    test(`is ${wanted} of 1500 on an underlay of ${address}`, () => {
      const node = testNode(EAST, { name: "e", addresses: [address], podPrefixes: [] });
      expect(overlayMtu(1500, node)).toBe(wanted);
    });
  }
});

describe("planCniNode()", () => {
  const parts = { name: "east-1", addresses: ["172.16.1.1"] };

  test("tells the plugin what it needs", () => {
    const node = testNode(EAST, { ...parts, podPrefixes: ["10.1.1.0/24"] });
    expect(planCniNode(node, { underlayMtu: 9000, bpfRoot: "/bpf" })).toEqual({
      nodeName: "east-1",
      podPrefixes: ["10.1.1.0/24"],
      routerAddresses: ["10.1.1.1"],
      mtu: 8950,
      bpfRoot: "/bpf",
    });
  });

  test("tells of no prefixes where another plugin gives addresses", () => {
    for (const podPrefixes of [["10.1.1.0/24"], []]) {
      const node = testNode(EAST, { ...parts, podPrefixes });
      const context = { underlayMtu: 1500, bpfRoot: "/bpf", foreignAddresses: true };
      expect(planCniNode(node, context)).toMatchObject({ podPrefixes: [], routerAddresses: [] });
    }
  });

  test("is undefined without a pod prefix", () => {
    const node = testNode(EAST, { ...parts, podPrefixes: [] });
    expect(planCniNode(node, { underlayMtu: 1500, bpfRoot: "/bpf" })).toBeUndefined();
  });
});

describe("sameRoute()", () => {
  const route: NodeRoute = { kind: "overlay", prefix: "10.0.0.0/24", mtu: 1450, source: "" };
  const others: readonly NodeRoute[] = [
    { ...route, mtu: 1400 },
    { ...route, source: "10.1.1.1" },
    { ...route, prefix: "10.0.1.0/24" },
    { kind: "unreachable", prefix: "10.0.0.0/24" },
  ];
  test("compares every field", () => {
    expect(sameRoute(route, { ...route })).toBe(true);
    for (const other of others) expect(sameRoute(route, other)).toBe(false);
  });
});
