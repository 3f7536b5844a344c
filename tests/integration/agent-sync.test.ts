// The agent on a real etcd: what it makes of the maps, and what it does not do to them when etcd
// or the agent itself is killed, wiped, compacted, or a cluster leaves.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createEtcdStore, type EtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import type { StoreOperation } from "../../mesh/kvstore/store.ts";
import type { AgentMaps } from "../../agent/agent.ts";
import {
  configuredPeerPut,
  deletionOf,
  EAST,
  heartbeatPut,
  localService,
  localServicePut,
  ownClusterPuts,
  peerClusterPuts,
  peerServicePut,
  testEndpoint,
  testNode,
  testService,
  WEST,
} from "../fakes/agent-cluster.ts";
import {
  countWrites,
  createMemoryMaps,
  readFrontends,
  readIpcache,
  startAgent,
  type RunningAgent,
} from "../fakes/agent-node.ts";
import { startTestEtcd, type TestEtcd } from "../fakes/etcd.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTcpProxy } from "../fakes/proxy.ts";

const CART = testService(EAST, {
  frontends: { "10.96.0.1": ["http/80"], "fd00:96::1": ["http/80"] },
  backends: { "10.1.1.5": ["http/8080"] },
});
const WEST_CART = testService(WEST, {
  frontends: { "10.97.0.1": ["http/8000"] },
  backends: { "10.2.1.5": ["http/9090"], "10.2.1.6": ["http/9090"], "fd00:2:1::5": ["http/9090"] },
});

const WEST_PEER = { name: WEST.name, id: WEST.id };
const OWN = ownClusterPuts({
  cluster: EAST,
  nodes: [
    testNode(EAST, {
      name: "east-1",
      addresses: ["172.16.1.1"],
      podPrefixes: ["10.1.1.0/24", "fd00:1:1::/64"],
    }),
    testNode(EAST, { name: "east-2", addresses: ["172.16.1.2"], podPrefixes: ["10.1.2.0/24"] }),
  ],
  endpoints: [
    testEndpoint(EAST, { ip: "10.1.1.5", hostIp: "172.16.1.1" }),
    testEndpoint(EAST, { ip: "10.1.2.5", hostIp: "172.16.1.2" }),
  ],
  localServices: [localService(CART)],
  configuredPeers: [WEST_PEER],
});
const PEER = peerClusterPuts({
  cluster: WEST,
  nodes: [
    testNode(WEST, { name: "west-1", addresses: ["172.16.2.1"], podPrefixes: ["10.2.1.0/24"] }),
  ],
  endpoints: [testEndpoint(WEST, { ip: "10.2.1.5", hostIp: "172.16.2.1" })],
  services: [WEST_CART],
});

const BOTH = {
  "10.96.0.1:80/TCP": ["0/1 1: 10.1.1.5:8080", "0/2 2: 10.2.1.5:9090 10.2.1.6:9090"],
  "[fd00:96::1]:80/TCP": ["0/1 2: fd00:2:1::5:9090"],
};
const EAST_ONLY = {
  "10.96.0.1:80/TCP": ["0/1 1: 10.1.1.5:8080"],
  "[fd00:96::1]:80/TCP": [],
};

const never = new AbortController().signal;

describe("agent on etcd", () => {
  let etcd: TestEtcd;
  let writer: EtcdStore;
  let maps: AgentMaps;
  const stores: EtcdStore[] = [];
  const agents: RunningAgent[] = [];

  const openStore = (endpoint = etcd.endpoint): EtcdStore => {
    const store = createEtcdStore({
      endpoints: [endpoint],
      tls: undefined,
      clock: systemClock,
      random: Math.random,
      log: silentLogger,
    });
    stores.push(store);
    return store;
  };
  const write = (operations: readonly StoreOperation[]): Promise<bigint> =>
    writer.commit(operations, never);
  const start = (store = openStore()): RunningAgent => {
    const agent = startAgent({ cluster: EAST, nodeName: "east-1", store, maps });
    agents.push(agent);
    return agent;
  };
  const frontendsBecome = (wanted: object): Promise<unknown> =>
    eventually(() => JSON.stringify(readFrontends(maps)) === JSON.stringify(wanted), {
      what: `frontends are ${JSON.stringify(wanted)}, not ${JSON.stringify(readFrontends(maps))}`,
    });

  beforeEach(async () => {
    etcd = await startTestEtcd();
    writer = openStore();
    maps = createMemoryMaps();
  });
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.stop()));
    for (const store of stores.splice(0)) store.close();
    await etcd.close();
  });

  test("fills services, ipcache and routes from its own cluster and a peer's copy", async () => {
    await write([...OWN, ...PEER]);
    const { routes } = start();
    await frontendsBecome(BOTH);
    await eventually(() => Object.keys(readIpcache(maps)).length === 12);
    expect(readIpcache(maps)).toEqual({
      "10.1.1.1/32": "1@",
      "10.1.1.5/32": "65836@",
      "10.1.2.0/24": "3@172.16.1.2",
      "10.1.2.1/32": "6@172.16.1.2",
      "10.1.2.5/32": "65836@172.16.1.2",
      "10.2.1.0/24": "3@172.16.2.1",
      "10.2.1.1/32": "6@172.16.2.1",
      "10.2.1.5/32": "131372@172.16.2.1",
      "172.16.1.1/32": "1@",
      "172.16.1.2/32": "6@",
      "172.16.2.1/32": "6@",
      "fd00:1:1::1/128": "1@",
    });
    await eventually(() => routes.size === 4);
    expect(routes.get("10.2.1.0/24")).toEqual({
      kind: "overlay",
      prefix: "10.2.1.0/24",
      mtu: 1450,
      source: "10.1.1.1",
    });
    expect(routes.get("10.1.1.0/24")).toEqual({ kind: "unreachable", prefix: "10.1.1.0/24" });
  });

  test("follows a change of one service in a peer", async () => {
    await write([...OWN, ...PEER]);
    start();
    await frontendsBecome(BOTH);
    await write([peerServicePut({ ...WEST_CART, backends: new Map() })]);
    await frontendsBecome(EAST_ONLY);
    await write([localServicePut(localService({ ...CART, backends: new Map() }))]);
    await frontendsBecome({ "10.96.0.1:80/TCP": [], "[fd00:96::1]:80/TCP": [] });
  });

  test("drains a cluster whose config is deleted, and takes it back", async () => {
    await write([...OWN, ...PEER]);
    start();
    await frontendsBecome(BOTH);
    const config = PEER[0];
    if (config === undefined) throw new Error("no config");
    await write([deletionOf(config)]);
    await frontendsBecome(EAST_ONLY);
    await eventually(() => readIpcache(maps)["10.2.1.5/32"] === undefined);
    await write(PEER);
    await frontendsBecome(BOTH);
  });

  test("a second agent on the maps of a killed one writes nothing that is right", async () => {
    await write([...OWN, ...PEER]);
    const first = start();
    await frontendsBecome(BOTH);
    await eventually(() => Object.keys(readIpcache(maps)).length === 12);
    await first.stop();
    const before = countWrites(maps);
    const second = start();
    await eventually(() => second.agent.tables.every(({ desired }) => desired.synced));
    await eventually(() =>
      second.agent.tables.every(({ reconciler }) => reconciler.status().pruned),
    );
    expect(countWrites(maps)).toBe(before);
    expect(readFrontends(maps)).toEqual(BOTH);
  });

  test("keeps a peer's backends from the maps until that peer has synced again", async () => {
    await write([...OWN, ...PEER]);
    const first = start();
    await frontendsBecome(BOTH);
    await first.stop();
    const canaries = PEER.filter(({ key }) => key.startsWith("cilium/synced/"));
    await write(canaries.map(deletionOf));
    const before = countWrites(maps);
    const second = start();
    await eventually(() => second.agent.intent.own.services.synced);
    await eventually(() => second.agent.services.settlement.mayPrune(EAST.id));
    expect(readFrontends(maps)).toEqual(BOTH);
    expect(countWrites(maps)).toBe(before);
    // While that peer is silent, our own changes are applied.
    const more = new Map([...CART.backends, ["10.1.1.6", CART.backends.get("10.1.1.5")]]);
    await write([localServicePut(localService({ ...CART, backends: more as never }))]);
    await frontendsBecome({
      ...BOTH,
      "10.96.0.1:80/TCP": [
        "0/2 1: 10.1.1.5:8080 10.1.1.6:8080",
        "0/2 2: 10.2.1.5:9090 10.2.1.6:9090",
      ],
    });
    await write([peerServicePut({ ...WEST_CART, backends: new Map() }), ...canaries]);
    await frontendsBecome({
      ...EAST_ONLY,
      "10.96.0.1:80/TCP": ["0/2 1: 10.1.1.5:8080 10.1.1.6:8080"],
    });
  });

  test("an agent killed while it fills the maps leaves the next one the same end", async () => {
    const many = Array.from({ length: 2_000 }, (_, i) =>
      localServicePut(
        localService(
          testService(EAST, {
            name: `s${i}`,
            frontends: { [`10.97.${i >> 8}.${i & 255}`]: ["http/80"] },
            backends: { "10.1.1.5": ["http/80"], "10.1.2.5": ["http/80"] },
          }),
        ),
      ),
    );
    await write([...many, ...OWN, ...PEER]);
    const first = start();
    await eventually(() => Object.keys(readFrontends(maps)).length > 0);
    await first.stop();
    start();
    const all = many.length + Object.keys(BOTH).length;
    await eventually(() => Object.keys(readFrontends(maps)).length === all);
    await eventually(() => Object.keys(readIpcache(maps)).length === 12);
    const found = [readFrontends(maps), readIpcache(maps)];
    maps = createMemoryMaps();
    start();
    await eventually(() => Object.keys(readFrontends(maps)).length === all);
    await eventually(() => Object.keys(readIpcache(maps)).length === 12);
    expect(found).toEqual([readFrontends(maps), readIpcache(maps)]);
  }, 90_000);

  test("changes nothing while etcd is dead, and goes on when it is back", async () => {
    await write([...OWN, ...PEER]);
    start();
    await frontendsBecome(BOTH);
    await etcd.kill();
    await eventually(() => agents[0]?.agent.ownSession.status().state.kind !== "ready");
    expect(readFrontends(maps)).toEqual(BOTH);
    await etcd.restart();
    await write([peerServicePut({ ...WEST_CART, backends: new Map() })]);
    await frontendsBecome(EAST_ONLY);
  }, 90_000);

  test("takes a compacted etcd for what it is", async () => {
    await write([...OWN, ...PEER]);
    start();
    await frontendsBecome(BOTH);
    await etcd.kill();
    await etcd.restart();
    await write([peerServicePut({ ...WEST_CART, backends: new Map() })]);
    await etcd.compact();
    await frontendsBecome(EAST_ONLY);
  }, 90_000);

  test("applies what it missed while it was cut off and etcd was compacted", async () => {
    const proxy = await startTcpProxy({ targetPort: etcd.port });
    try {
      await write([...OWN, ...PEER]);
      const { agent } = start(openStore(`http://127.0.0.1:${proxy.port}`));
      await frontendsBecome(BOTH);
      await proxy.refuse();
      await eventually(() => agent.ownSession.status().state.kind !== "ready");
      await write([peerServicePut({ ...WEST_CART, backends: new Map() })]);
      await etcd.compact();
      expect(readFrontends(maps)).toEqual(BOTH);
      await proxy.pass();
      await eventually(async () => {
        await write([heartbeatPut()]);
        return JSON.stringify(readFrontends(maps)) === JSON.stringify(EAST_ONLY);
      });
      expect(readIpcache(maps)).not.toEqual([]);
    } finally {
      await Promise.all(agents.splice(0).map((agent) => agent.stop()));
      await proxy.close();
    }
  }, 90_000);

  test("takes an emptied etcd for no deletion, and believes it once it is written again", async () => {
    await write([...OWN, ...PEER]);
    const { agent } = start();
    await frontendsBecome(BOTH);
    writer.close();
    await etcd.wipe();
    writer = openStore();
    await eventually(() => agent.ownSession.status().state.kind !== "ready");
    expect(readFrontends(maps)).toEqual(BOTH);
    // Our own cluster is written again; the peer is not, as when it cannot be reached.
    await write(OWN);
    await eventually(async () => {
      // Only a heartbeat that comes while the agent listens proves that the writer lives.
      await write([heartbeatPut()]);
      return agent.ownSession.status().state.kind === "ready";
    });
    expect(readFrontends(maps)).toEqual(BOTH);
    await eventually(() => agent.peers.status()[0]?.listed === false);
    expect(readFrontends(maps)).toEqual(BOTH);
    await write(
      peerClusterPuts({
        cluster: WEST,
        services: [{ ...WEST_CART, backends: new Map() }],
      }),
    );
    await frontendsBecome(EAST_ONLY);
  }, 90_000);

  describe("whose etcd was emptied while a peer is away", () => {
    /** As our own apiserver leaves an etcd that it has filled again from manifests. */
    async function refill(own: readonly StoreOperation[]): Promise<void> {
      writer.close();
      await etcd.wipe();
      writer = openStore();
      await write(own);
    }
    const isPruned = ({ agent }: RunningAgent): Promise<unknown> =>
      eventually(
        () =>
          agent.intent.own.configuredPeers.synced &&
          agent.services.settlement.mayPrune(EAST.id) &&
          agent.tables.every(({ reconciler }) => reconciler.status().pruned),
        { what: "all tables are pruned" },
      );
    const removal = deletionOf(configuredPeerPut(EAST.name, WEST_PEER));

    test("started again, keeps the peer's rows until its configuration is removed", async () => {
      await write([...OWN, ...PEER]);
      const first = start();
      await frontendsBecome(BOTH);
      await eventually(() => Object.keys(readIpcache(maps)).length === 12);
      const held = readIpcache(maps);
      await first.stop();
      await refill(OWN);
      const second = start();
      await isPruned(second);
      expect([readFrontends(maps), readIpcache(maps)]).toEqual([BOTH, held]);
      await write([removal]);
      await frontendsBecome(EAST_ONLY);
      await eventually(
        () => !Object.keys(readIpcache(maps)).some((key) => key.startsWith("10.2.")),
      );
      expect(Object.keys(readIpcache(maps)).length).toBe(8);
    }, 90_000);

    test("started again, keeps all that is unknown while one peer's id is", async () => {
      await write([...OWN, ...PEER]);
      const first = start();
      await frontendsBecome(BOTH);
      await eventually(() => Object.keys(readIpcache(maps)).length === 12);
      const held = readIpcache(maps);
      await first.stop();
      const unmet = configuredPeerPut(EAST.name, { name: "north", id: undefined });
      await refill([unmet, ...OWN.filter(({ key }) => key !== removal.key)]);
      const second = start();
      await isPruned(second);
      expect([readFrontends(maps), readIpcache(maps)]).toEqual([BOTH, held]);
      await write([configuredPeerPut(EAST.name, { name: "north", id: 3 })]);
      await frontendsBecome(EAST_ONLY);
    }, 90_000);

    test("running on, lets the peer go when its configuration is removed", async () => {
      await write([...OWN, ...PEER]);
      const { agent } = start();
      await frontendsBecome(BOTH);
      await refill(OWN);
      await eventually(() => agent.peers.status()[0]?.listed === false);
      await write([removal]);
      await eventually(async () => {
        // Only a heartbeat that comes while the agent listens proves that the writer lives.
        await write([heartbeatPut()]);
        return JSON.stringify(readFrontends(maps)) === JSON.stringify(EAST_ONLY);
      });
      expect(agent.peers.status()).toEqual([]);
    }, 90_000);
  });
});
