import { describe, expect, test } from "@jest/globals";
import { tunnelAddress } from "../../../../apiserver/export/node-record.ts";
import type { NodeAddress } from "../../../../mesh/core/node.ts";

const internal = (ip: string): NodeAddress => ({ type: "InternalIP", ip });

describe("tunnelAddress()", () => {
  const cases: [string, NodeAddress[], string][] = [
    ["IPv4 before IPv6", [internal("fd00::1"), internal("192.168.1.1")], "192.168.1.1"],
    ["IPv6 where there is nothing else", [internal("fd00::1")], "fd00::1"],
    ["no external address", [{ type: "ExternalIP", ip: "203.0.113.1" }], ""],
  ];
  for (const [what, addresses, wanted] of cases) {
    test(`takes ${what}`, () => {
      const node = { kind: "Node", name: "n1", podPrefixes: [], bootId: "" } as const;
      const maps = { labels: new Map<string, string>(), annotations: new Map<string, string>() };
      expect(tunnelAddress({ ...node, ...maps, addresses })).toBe(wanted);
    });
  }

  test("is empty for a node that is not known", () => {
    expect(tunnelAddress(undefined)).toBe("");
  });
});
