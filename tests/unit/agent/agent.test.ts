// The agent on an etcd and maps in memory: the parts put together. What it does when a real etcd
// misbehaves is tests/integration/agent-sync.test.ts.
import { describe, expect, test } from "@jest/globals";
import { createMemoryStore, MemoryEtcd } from "../../../mesh/kvstore/memory-store.ts";
import {
  EAST,
  localService,
  ownClusterPuts,
  peerClusterPuts,
  testNode,
  testService,
  WEST,
} from "../../fakes/agent-cluster.ts";
import {
  createMemoryMaps,
  readFrontends,
  readIpcache,
  startAgent,
} from "../../fakes/agent-node.ts";
import { createFakeClock } from "../../fakes/clock.ts";

const OWN = ownClusterPuts({
  cluster: EAST,
  nodes: [
    testNode(EAST, { name: "east-1", addresses: ["172.16.1.1"], podPrefixes: ["10.1.1.0/24"] }),
  ],
  localServices: [
    localService(
      testService(EAST, {
        frontends: { "10.96.0.1": ["http/80"] },
        backends: { "10.1.1.5": ["http/80"] },
      }),
    ),
  ],
});
const PEER = peerClusterPuts({
  cluster: WEST,
  services: [testService(WEST, { backends: { "10.2.1.5": ["http/80"] } })],
});

describe("createAgent()", () => {
  test("turns what etcd says into maps and routes, and prunes what an earlier agent left", async () => {
    const etcd = new MemoryEtcd();
    etcd.apply([...OWN, ...PEER]);
    const maps = createMemoryMaps();
    const clock = createFakeClock();
    const parts = { cluster: EAST, nodeName: "east-1", maps, clock };
    const first = startAgent({ ...parts, store: createMemoryStore(etcd) });
    await clock.advance(5_000);
    expect(readFrontends(maps)).toEqual({
      "10.96.0.1:80/TCP": ["0/1 1: 10.1.1.5:80", "0/1 2: 10.2.1.5:80"],
    });
    expect(Object.keys(readIpcache(maps))).toEqual(["10.1.1.1/32", "172.16.1.1/32"]);
    expect([...first.routes.keys()]).toEqual(["10.1.1.0/24"]);
    await first.stop();

    // While no agent runs, the service goes and the peer is disconnected.
    const gone = [...OWN.filter(({ key }) => key.includes("local/services")), ...PEER];
    const canaries = gone.filter(({ key }) => key.startsWith("cilium/synced/east/"));
    etcd.apply(gone.map(({ key }) => ({ kind: "delete" as const, key })));
    etcd.apply(canaries);
    const second = startAgent({ ...parts, store: createMemoryStore(etcd) });
    await clock.advance(5_000);
    expect(readFrontends(maps)).toEqual({});
    expect(second.agent.tables.map(({ desired }) => desired.synced)).toEqual([true, true, true]);
    await second.stop();
  });

  test("prunes again when a cluster settles late", async () => {
    const etcd = new MemoryEtcd();
    const node = testNode(WEST, {
      name: "west-1",
      addresses: ["172.16.2.1"],
      podPrefixes: ["10.2.1.0/24"],
    });
    const withNode = peerClusterPuts({ cluster: WEST, nodes: [node] });
    etcd.apply([...OWN, ...withNode]);
    const maps = createMemoryMaps();
    const clock = createFakeClock();
    const parts = { cluster: EAST, nodeName: "east-1", maps, clock };
    const first = startAgent({ ...parts, store: createMemoryStore(etcd) });
    await clock.advance(5_000);
    expect(readIpcache(maps)["10.2.1.0/24"]).toBe("3@172.16.2.1");
    await first.stop();

    // Everything but the config goes: the peer is being mirrored anew, without the node.
    etcd.apply(withNode.slice(1).map(({ key }) => ({ kind: "delete" as const, key })));
    const second = startAgent({ ...parts, store: createMemoryStore(etcd) });
    await clock.advance(120_000);
    expect(second.agent.tables.every(({ reconciler }) => reconciler.status().pruned)).toBe(true);
    expect(readIpcache(maps)["10.2.1.0/24"]).toBe("3@172.16.2.1");
    etcd.apply(peerClusterPuts({ cluster: WEST }).slice(1));
    await clock.advance(5_000);
    expect(readIpcache(maps)["10.2.1.0/24"]).toBeUndefined();
    await second.stop();
  });
});
