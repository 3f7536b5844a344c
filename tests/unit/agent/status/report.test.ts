// The report of a real agent on memory: what a person or a program is told of it.
import { describe, expect, test } from "@jest/globals";
import { ClusterHealth } from "../../../../bpf/gen/layout.ts";
import { clusterStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createMemoryStore, MemoryEtcd } from "../../../../mesh/kvstore/memory-store.ts";
import type { StoreOperation } from "../../../../mesh/kvstore/store.ts";
import { setClusterState } from "../../../../agent/apply/cluster-state.ts";
import { readinessOf } from "../../../../agent/status/readiness.ts";
import { createReport } from "../../../../agent/status/report.ts";
import {
  EAST,
  localService,
  NORTH,
  ownClusterPuts,
  peerClusterPuts,
  testNode,
  testService,
  WEST,
} from "../../../fakes/agent-cluster.ts";
import { createMemoryMaps, startAgent } from "../../../fakes/agent-node.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { HEALTH } from "../../../fakes/agent-api.ts";

const CART = testService(EAST, {
  frontends: { "10.96.0.1": ["http/80", "sig/9/SCTP"] },
  backends: { "10.1.1.5": ["http/8080"] },
});
const OWN = ownClusterPuts({
  cluster: EAST,
  nodes: [
    testNode(EAST, { name: "east-1", addresses: ["172.16.1.1"], podPrefixes: ["10.1.1.0/24"] }),
  ],
  localServices: [
    localService(CART, { affinity: "local" }),
    localService(
      { ...testService(EAST, { name: "basket" }), namespace: "bank" },
      { global: false },
    ),
  ],
});
const PEER = peerClusterPuts({
  cluster: WEST,
  services: [testService(WEST, { backends: { "10.2.1.5": ["http/9090"] } })],
});

async function start(contents: readonly StoreOperation[]) {
  const etcd = new MemoryEtcd();
  etcd.apply(contents);
  const clock = createFakeClock();
  const maps = createMemoryMaps();
  const store = createMemoryStore(etcd);
  const running = startAgent({ cluster: EAST, nodeName: "east-1", store, maps, clock });
  const clusterState = createMemoryMap(clusterStateMap);
  const cniNode = {
    nodeName: "east-1",
    podPrefixes: ["10.1.1.0/24"],
    routerAddresses: ["10.1.1.1"],
    mtu: 1450,
    bpfRoot: "/bpf",
  };
  const report = createReport({
    agent: running.agent,
    readiness: () => readinessOf(running.agent, { isSetUp: true }),
    nodeName: "east-1",
    version: "1.2.3",
    clusterState,
    health: () => HEALTH,
    flows: () => ({
      followed: 4,
      failed: new Map([["/proc/7/ns/net", "not there"]]),
      resets: { "cluster-down": 3, "node-down": 0, "backend-down": 0, drain: 1 },
      failures: 2,
      lastProblem: "refused",
    }),
    cniNode: () => cniNode,
    clock,
    kernelNowNs: () => 1n,
    startedMs: 0,
  });
  await clock.advance(5_000);
  return { report, clusterState, clock, etcd, [Symbol.asyncDispose]: () => running.stop() };
}

describe("createReport()", () => {
  test("getStatus() tells of the clusters, the tables and the node", async () => {
    await using running = await start([...OWN, ...PEER]);
    const status = await running.report.getStatus({}, undefined);
    expect(status).toMatchObject({
      version: "1.2.3",
      node: "east-1",
      cluster: "east",
      uptimeSeconds: 5,
      ready: true,
      reasons: [],
      podPrefixes: ["10.1.1.0/24"],
      mtu: 1450,
      flows: {
        ended: [
          { reason: "cluster-down", flows: 3 },
          { reason: "node-down", flows: 0 },
          { reason: "backend-down", flows: 0 },
          { reason: "drain", flows: 1 },
        ],
        failures: 2,
        lastProblem: "refused",
        namespaces: 4,
        namespacesFailed: 1,
      },
      clusters: [
        { name: "east", own: true, listed: true, nodes: 1, services: 2, usable: true },
        { name: "west", own: false, listed: true, nodes: 0, services: 1, usable: true },
      ],
    });
    expect(
      status.reconcilers.map(({ name, desired, applied }) => [name, desired, applied]),
    ).toEqual([
      ["frontends", 1, 1],
      ["ipcache", 2, 2],
      ["routes", 1, 1],
    ]);
  });

  test("getStatus() names a cluster that is refused, with the reason", async () => {
    const twin = peerClusterPuts({ cluster: { ...NORTH, id: EAST.id } });
    await using running = await start([...OWN, ...twin]);
    const { clusters } = await running.report.getStatus({}, undefined);
    expect(clusters[1]).toMatchObject({
      name: "north",
      session: "refused",
      reason: expect.stringContaining("it has our own cluster id"),
      usable: false,
    });
  });

  test("listServices() shows all, or those of one namespace, without backends", async () => {
    await using running = await start([...OWN, ...PEER]);
    const { services } = await running.report.listServices({ namespace: "" }, undefined);
    expect(services.map(({ namespace, name, global }) => [namespace, name, global])).toEqual([
      ["bank", "basket", false],
      ["shop", "cart", true],
    ]);
    expect(services[1]?.frontends[0]?.groups[0]?.backends).toEqual([]);
    const shop = await running.report.listServices({ namespace: "shop" }, undefined);
    expect(shop.services.length).toBe(1);
  });

  test("getService() shows which cluster is in use now, by the datapath's own rows", async () => {
    await using running = await start([...OWN, ...PEER]);
    const groups = async () => {
      const request = { namespace: "shop", name: "cart" };
      const { service } = await running.report.getService(request, undefined);
      return service.frontends[0]?.groups.map(
        ({ cluster, usable, inUse }) => `${cluster} ${usable} ${inUse}`,
      );
    };
    expect(await groups()).toEqual(["east true true", "west true false"]);
    setClusterState(running.clusterState, { clusterId: EAST.id, healthIpv4: ClusterHealth.down });
    expect(await groups()).toEqual(["east false false", "west true true"]);
  });

  test("getService() has every backend, and what was left out", async () => {
    await using running = await start([...OWN, ...PEER]);
    const request = { namespace: "shop", name: "cart" };
    const { service } = await running.report.getService(request, undefined);
    expect(service.frontends[0]?.groups.map(({ backends }) => backends)).toEqual([
      [{ address: "10.1.1.5", port: 8080 }],
      [{ address: "10.2.1.5", port: 9090 }],
    ]);
    expect(service.notes).toEqual(["Port 9/SCTP is not balanced: want TCP or UDP"]);
  });

  test("getService() rejects a name that our cluster has not", async () => {
    await using running = await start(OWN);
    const request = { namespace: "shop", name: "none" };
    await expect(running.report.getService(request, undefined)).rejects.toMatchObject({
      code: "not_found",
    });
  });
});
