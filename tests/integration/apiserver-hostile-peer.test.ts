// A peer whose etcd holds whatever it likes: nothing but counters and status may change, and the
// good records beside the bad ones arrive (invariants 4 and 10).
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { MAX_NODES } from "../../mesh/kvstore/records/session-kinds.ts";
import {
  createTestApiserver,
  installPeer,
  smallCluster,
  type TestApiserver,
} from "../fakes/apiserver.ts";
import { createTestCluster, type TestCluster } from "../fakes/cluster.ts";
import { eventually } from "../fakes/eventually.ts";

let east: TestApiserver;
let west: TestCluster;

const endpoint = (ip: string, fields: object = {}): string =>
  JSON.stringify({ IP: ip, Mask: null, HostIP: "172.16.2.1", ID: 131_072, Key: 0, ...fields });
const service = (fields: object): string =>
  JSON.stringify({
    cluster: "west",
    namespace: "shop",
    name: "good",
    frontends: {},
    backends: { "10.2.0.10": { http: { Protocol: "TCP", Port: 80 } } },
    labels: {},
    selector: {},
    includeExternal: true,
    shared: true,
    clusterID: 2,
    ...fields,
  });

const GOOD: readonly [string, string][] = [
  ["cilium/state/ip/v1/default/10.2.0.10", endpoint("10.2.0.10")],
  ["cilium/state/identities/v1/id/131072", "k8s:app=good;k8s:io.cilium.k8s.policy.cluster=west;"],
  ["cilium/state/services/v1/west/shop/good", service({})],
];

const IP = "cilium/state/ip/v1/default/";
const BAD: readonly [string, string][] = [
  [`${IP}10.2.0.11`, endpoint("10.2.0.11").slice(0, 40)],
  [`${IP}10.2.0.12`, endpoint("10.2.0.12", { K8sPodName: "x".repeat(1024 * 1024) })],
  [`${IP}10.2.0.13`, endpoint("10.2.0.14")],
  [`${IP}10.2.0.15`, endpoint("10.2.0.15", { ID: 65_536 })],
  [`${IP}10.2.0.16`, "[".repeat(10_000)],
  [`${IP}nonsense/../key`, endpoint("10.2.0.17")],
  ["cilium/state/nodes/v1/west/foreign", '{"Name":"foreign","Cluster":"east","ClusterID":1}'],
  ["cilium/state/identities/v1/id/65536", "k8s:app=stolen;k8s:io.cilium.k8s.policy.cluster=east;"],
  ["cilium/state/services/v1/west/shop/other", service({ name: "good" })],
  ["cilium/state/services/v1/west/shop/mine", service({ name: "mine", cluster: "east" })],
];

/** Valid in form, but about addresses that are ours. */
const THIEVES: readonly [string, string][] = [
  [`${IP}10.1.0.10`, endpoint("10.1.0.10")],
  [`${IP}10.1.0.200`, endpoint("10.1.0.200")],
  [`${IP}10.2.0.20`, endpoint("10.2.0.20", { HostIP: "192.168.1.1" })],
  [
    "cilium/state/services/v1/west/shop/cart",
    service({ name: "cart", backends: { "10.1.0.10": { http: { Protocol: "TCP", Port: 80 } } } }),
  ],
];

beforeAll(async () => {
  [east, west] = await Promise.all([
    createTestApiserver({ name: "east", id: 1 }),
    createTestCluster({ name: "west", id: 2, etcd: true }),
  ]);
  await east.manifest("cluster.yaml", smallCluster(1));
  east.start();
  for (const [key, value] of [...GOOD, ...BAD, ...THIEVES]) await west.put(key, value);
  for (const kind of ["nodes", "identities", "ip", "services"]) {
    await west.put(`cilium/synced/west/cilium/state/${kind}/v1`, "2026-01-01T00:00:00Z");
  }
  await east.ready();
  await installPeer(east, {
    name: "west",
    directory: west.directory,
    etcdEndpoint: west.etcd?.endpoint ?? "",
  });
  await west.put("cilium/.heartbeat", "2026-01-01T00:00:00Z");
  await eventually(async () => (await east.status()).peers[0]?.synced, { limitMs: 60_000 });
}, 180_000);

afterAll(async () => {
  await east.close();
  await west.close();
}, 60_000);

/** Valid node records, as many as asked for, in large transactions. */
async function putNodes(count: number): Promise<void> {
  const put = (index: number) => {
    const name = `flood-${index}`;
    const value = JSON.stringify({ Name: name, Cluster: "west", ClusterID: 2, IPAddresses: [] });
    const key = Buffer.from(`cilium/state/nodes/v1/west/${name}`);
    return { request_put: { key, value: Buffer.from(value) } };
  };
  for (let start = 0; start < count; start += 100) {
    const request = { success: Array.from({ length: 100 }, (_, index) => put(start + index)) };
    const call = { service: "KV", method: "txn", request, timeoutMs: 10_000 } as const;
    await west.etcd?.connection.call({ ...call, doing: "flood" }, new AbortController().signal);
  }
}

async function kindStatus(kind: string) {
  const [peer] = (await east.status()).peers;
  return peer?.kinds.find((item) => item.kind === kind);
}

describe("apiserver mirror of a hostile peer", () => {
  test("takes the good records beside the bad ones, and only those", async () => {
    const keys = [...(await east.contents("cilium/cache/")).keys()];
    expect(keys.sort()).toEqual([
      "cilium/cache/identities/v1/west/id/131072",
      "cilium/cache/ip/v1/west/10.2.0.10",
      "cilium/cache/nodes/v1/west/west-1",
      "cilium/cache/services/v1/west/shop/good",
    ]);
  });

  test("leaves our own state as it is", async () => {
    const state = await east.contents("cilium/state/");
    expect([...state.keys()].every((key) => !key.includes("west"))).toBe(true);
    expect(JSON.parse(state.get("cilium/state/ip/v1/default/10.1.0.10") ?? "")).toMatchObject({
      HostIP: "192.168.1.1",
      K8sPodName: "cart-0",
    });
  });

  test("counts what was not valid and tells the latest reasons", async () => {
    expect(await kindStatus("ip")).toMatchObject({ rejected: 6 });
    expect(await kindStatus("nodes")).toMatchObject({ rejected: 1 });
    expect(await kindStatus("identities")).toMatchObject({ rejected: 1 });
    expect(await kindStatus("services")).toMatchObject({ rejected: 2 });
    expect((await kindStatus("ip"))?.rejectedLatest.length).toBeGreaterThan(0);
  });

  test("refuses records about our addresses and names both", async () => {
    const ip = await kindStatus("ip");
    expect(ip?.claimsRefused).toBe(3);
    expect(ip?.claimsRefusedLatest).toContain('10.1.0.200: 10.1.0.200 belongs to "east"');
    expect(await kindStatus("services")).toMatchObject({
      claimsRefused: 1,
      claimsRefusedLatest: ['shop/cart: 10.1.0.10 belongs to "east"'],
    });
  });

  test("keeps the last good value of a record that turns bad", async () => {
    await west.put("cilium/state/services/v1/west/shop/good", "{");
    await eventually(async () => (await kindStatus("services"))?.rejected === 3);
    const cached = await east.contents("cilium/cache/services/");
    expect(cached.get("cilium/cache/services/v1/west/shop/good")).toBe(service({}));
  }, 60_000);

  test("takes no more records than one cluster can have, however many there are", async () => {
    await putNodes(MAX_NODES + 500);
    await eventually(async () => ((await kindStatus("nodes"))?.rejected ?? 0) > 400, {
      limitMs: 120_000,
    });
    // Bad records take places, too: the limit is on what a peer may make us look at.
    const mirrored = await eventually(
      async () => {
        const count = (await kindStatus("nodes"))?.mirrored ?? 0;
        return count > MAX_NODES - 10 ? count : undefined;
      },
      { limitMs: 120_000 },
    );
    expect(mirrored).toBeLessThanOrEqual(MAX_NODES);
    expect((await east.status()).ready).toBe(true);
    expect((await kindStatus("ip"))?.mirrored).toBe(1);
  }, 300_000);

  test("refuses a peer with our own id or with a cached state, with the reason", async () => {
    await west.put(
      "cilium/cluster-config/west",
      '{"id":1,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255}}',
    );
    await eventually(
      async () => (await east.status()).peers[0]?.reason.includes('its id 1 is that of "east"'),
      { limitMs: 60_000 },
    );
    expect((await east.status()).peers[0]?.state).toBe("refused");
    expect((await east.contents("cilium/cache/ip/")).size).toBe(1);
  }, 90_000);
});
