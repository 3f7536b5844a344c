import { describe, expect, test } from "@jest/globals";
import { nodeInternalAddress, type MeshNode } from "../../../../mesh/core/node.ts";

const node: MeshNode = {
  cluster: "east",
  clusterId: 1,
  name: "worker-1",
  addresses: [
    { type: "ExternalIP", ip: "203.0.113.7" },
    { type: "InternalIP", ip: "192.168.7.4" },
    { type: "InternalIP", ip: "192.168.7.5" },
    { type: "InternalIP", ip: "fd07::4" },
  ],
  podPrefixes: [],
  encryptionKey: 0,
  wireguardPublicKey: "",
  bootId: "",
  labels: new Map(),
  annotations: new Map(),
};

describe("nodeInternalAddress()", () => {
  test("is the first InternalIP of the family", () => {
    expect(nodeInternalAddress(node, 4)).toBe("192.168.7.4");
    expect(nodeInternalAddress(node, 6)).toBe("fd07::4");
  });

  test("is undefined for a family that the node does not have", () => {
    expect(nodeInternalAddress({ ...node, addresses: [] }, 4)).toBeUndefined();
  });
});
