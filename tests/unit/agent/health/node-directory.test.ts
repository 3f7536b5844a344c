import { describe, expect, test } from "@jest/globals";
import type { EndpointAddress, MeshNode } from "../../../../mesh/core/node.ts";
import { createNodeDirectory, overlayAddress } from "../../../../agent/health/node-directory.ts";
import { EAST, WEST } from "../../../fakes/agent-cluster.ts";
import { createTestIntent, createTestPeer } from "../../../fakes/agent-intent.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

function node(cluster: typeof EAST, name: string, change: Partial<MeshNode> = {}): MeshNode {
  const number = `${cluster.id}.${name.at(-1)}`;
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    name,
    addresses: [{ type: "InternalIP", ip: `172.16.${number}` }],
    podPrefixes: [`10.${number}.0/24`],
    encryptionKey: 0,
    wireguardPublicKey: "",
    bootId: "",
    labels: new Map(),
    annotations: new Map(),
    ...change,
  };
}

const POD: EndpointAddress = {
  prefix: "10.2.1.9",
  hostIp: "172.16.2.1",
  identity: 1,
  encryptionKey: 0,
  namespace: "shop",
  podName: "cart",
  serviceAccount: "default",
  namedPorts: [],
};

async function start() {
  const clock = createFakeClock();
  const intent = createTestIntent(EAST);
  const directory = createNodeDirectory({ intent, nodeName: "east-1", nodesPerCluster: 3, clock });
  const end = new AbortController();
  const done = directory.run(end.signal);
  const west = createTestPeer(WEST);
  intent.own.nodes.put("east-1", node(EAST, "east-1"));
  intent.own.nodes.put("east-2", node(EAST, "east-2"));
  west.nodes.put("west-1", node(WEST, "west-1"));
  west.endpoints.put(POD.prefix, POD);
  intent.peers.put("west", west);
  await clock.settle();
  return {
    directory,
    intent,
    west,
    clock,
    async [Symbol.asyncDispose]() {
      end.abort();
      await clock.settle();
      await done;
    },
  };
}

describe("createNodeDirectory()", () => {
  test("ranks the other nodes of our own and of connected clusters", async () => {
    await using running = await start();
    const { directory, intent, clock } = running;
    const names = (): string[] => directory.ranked().flatMap(({ nodes }) => nodes);
    expect(names().sort()).toEqual(["east-2", "west-1"]);
    expect([...directory.clusterIds()].sort((a, b) => a - b)).toEqual([EAST.id, WEST.id]);
    const { version } = directory;
    intent.peers.delete("west");
    await clock.settle();
    expect(names()).toEqual(["east-2"]);
    expect(directory.clusterName(WEST.id)).toBeUndefined();
    expect(directory.version).toBeGreaterThan(version);
  });

  test("knows where nodes are asked, and where we ask from", async () => {
    await using running = await start();
    const { directory } = running;
    const west1 = { clusterId: WEST.id, family: 4, node: "west-1" } as const;
    expect(directory.probeAddress(west1)).toBe("10.2.1.1");
    expect(directory.probeAddress({ ...west1, family: 6 })).toBeUndefined();
    expect(directory.ownAddress(4)).toBe("10.1.1.1");
  });

  test("knows on which node an address lies, a node's own too, and forgets it", async () => {
    await using running = await start();
    const { directory, west, clock } = running;
    expect(directory.nodeOfEndpoint(WEST.id, POD.prefix)).toBe("west-1");
    expect(directory.nodeOfEndpoint(WEST.id, "172.16.2.1")).toBe("west-1");
    expect(directory.nodeOfEndpoint(WEST.id, "10.2.1.77")).toBeUndefined();
    west.nodes.delete("west-1");
    await clock.settle();
    expect(directory.nodeOfEndpoint(WEST.id, POD.prefix)).toBeUndefined();
  });
});

test("overlayAddress() prefers what the node itself says", () => {
  const told = node(WEST, "west-1", {
    addresses: [{ type: "CiliumInternalIP", ip: "10.2.1.77" }],
  });
  expect(overlayAddress(told, 4)).toBe("10.2.1.77");
  expect(overlayAddress(node(WEST, "west-1"), 4)).toBe("10.2.1.1");
});
