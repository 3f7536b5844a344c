import { describe, expect, test } from "@jest/globals";
import {
  isOwnNode,
  planEndpointIpcache,
  planNodeIpcache,
  routerAddresses,
  sameIpcacheRow,
  tunnelEndpoint,
  type IpcacheRow,
  type OwnNode,
} from "../../../../agent/plan/plan-ipcache.ts";
import { EAST, testEndpoint, testNode, WEST } from "../../../fakes/agent-cluster.ts";

const OWN: OwnNode = {
  cluster: "east",
  name: "east-1",
  addresses: new Set(["172.16.1.1", "2001:db8::1"]),
};

function describeRows(rows: readonly IpcacheRow[]): string[] {
  return rows.map(({ prefix, identity, tunnelEndpoint: via }) => `${prefix} ${identity}@${via}`);
}

describe("planEndpointIpcache()", () => {
  const cases = [
    ["10.2.0.5", "172.16.2.1", "10.2.0.5/32 131372@172.16.2.1"],
    ["fd00:2::5", "172.16.2.1", "fd00:2::5/128 131372@172.16.2.1"],
    ["10.2.9.0/24", "172.16.2.1", "10.2.9.0/24 131372@172.16.2.1"],
    ["10.2.0.5", "", "10.2.0.5/32 131372@"],
    ["10.2.0.5", "172.16.1.1", "10.2.0.5/32 131372@"],
    ["10.2.0.5", "2001:db8::1", "10.2.0.5/32 131372@"],
  ] as const;
  for (const [ip, hostIp, wanted] of cases) {
    test(`of ${ip} on ${hostIp === "" ? "no node" : hostIp} is ${wanted}`, () => {
      const rows = planEndpointIpcache(testEndpoint(WEST, { ip, hostIp }), {
        clusterId: WEST.id,
        ownNode: OWN,
      });
      expect(describeRows(rows)).toEqual([wanted]);
      expect(rows[0]?.clusterId).toBe(WEST.id);
    });
  }
});

describe("planNodeIpcache()", () => {
  test("of another node: its addresses without tunnel, its router and pod prefixes through it", () => {
    const node = testNode(WEST, {
      name: "west-1",
      addresses: ["172.16.2.1", "2001:db8:2::1"],
      podPrefixes: ["10.2.1.0/24", "fd00:2:1::/64"],
    });
    expect(describeRows(planNodeIpcache(node, OWN))).toEqual([
      "172.16.2.1/32 6@",
      "2001:db8:2::1/128 6@",
      "10.2.1.1/32 6@172.16.2.1",
      "fd00:2:1::1/128 6@172.16.2.1",
      "10.2.1.0/24 3@172.16.2.1",
      "fd00:2:1::/64 3@172.16.2.1",
    ]);
  });

  test("of our own node: host, nothing through a tunnel, no row for its pod prefixes", () => {
    const node = testNode(EAST, {
      name: "east-1",
      addresses: ["172.16.1.1"],
      podPrefixes: ["10.1.1.0/24"],
    });
    expect(describeRows(planNodeIpcache(node, OWN))).toEqual([
      "172.16.1.1/32 1@",
      "10.1.1.1/32 1@",
    ]);
  });

  test("sends only the node's address inside the overlay through it", () => {
    const node = {
      ...testNode(WEST, {
        name: "west-1",
        addresses: ["172.16.2.1"],
        podPrefixes: ["10.2.1.0/24"],
      }),
      addresses: [
        { type: "Hostname" as const, ip: "west-1" },
        { type: "InternalIP" as const, ip: "172.16.2.1" },
        { type: "CiliumInternalIP" as const, ip: "10.2.1.77" },
      ],
    };
    expect(describeRows(planNodeIpcache(node, OWN)).slice(0, 2)).toEqual([
      "172.16.2.1/32 6@",
      "10.2.1.77/32 6@172.16.2.1",
    ]);
  });

  test("of a node without an address has no prefix rows: nothing would reach it", () => {
    const node = testNode(WEST, { name: "w", addresses: [], podPrefixes: ["10.2.1.0/24"] });
    expect(describeRows(planNodeIpcache(node, OWN))).toEqual(["10.2.1.1/32 6@"]);
  });
});

describe("tunnelEndpoint()", () => {
  test("prefers IPv4", () => {
    const addresses = ["2001:db8::9", "172.16.2.1"];
    expect(tunnelEndpoint(testNode(WEST, { name: "w", addresses, podPrefixes: [] }))).toBe(
      "172.16.2.1",
    );
  });
});

describe("routerAddresses()", () => {
  test("is the first address after the prefix's own, and none of a prefix of one address", () => {
    expect(routerAddresses(["10.1.1.0/24", "fd00::/64", "10.9.9.9/32"])).toEqual([
      "10.1.1.1",
      "fd00::1",
    ]);
  });
});

describe("isOwnNode()", () => {
  test("wants the cluster as well as the name", () => {
    const parts = { name: "east-1", addresses: [], podPrefixes: [] };
    expect(isOwnNode(testNode(EAST, parts), OWN)).toBe(true);
    expect(isOwnNode(testNode(WEST, parts), OWN)).toBe(false);
  });
});

describe("sameIpcacheRow()", () => {
  const row: IpcacheRow = {
    prefix: "10.0.0.1/32",
    identity: 300,
    tunnelEndpoint: "172.16.0.1",
    clusterId: 1,
    encryptionKey: 0,
  };
  test("compares every field", () => {
    expect(sameIpcacheRow(row, { ...row })).toBe(true);
    for (const change of [
      { prefix: "10.0.0.2/32" },
      { identity: 301 },
      { tunnelEndpoint: "" },
      { clusterId: 2 },
      { encryptionKey: 1 },
    ]) {
      expect(sameIpcacheRow(row, { ...row, ...change })).toBe(false);
    }
  });
});
