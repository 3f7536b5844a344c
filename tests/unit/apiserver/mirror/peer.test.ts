import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createClaims } from "../../../../apiserver/mirror/claims.ts";
import { createClusterIds } from "../../../../apiserver/mirror/cluster-ids.ts";
import { createPeerMirror, type PeerMirror } from "../../../../apiserver/mirror/peer.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

const signal = new AbortController().signal;
const OWN = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const FILE = { endpoints: ["https://10.0.0.2:2379"], trustedCaFile: "", keyFile: "", certFile: "" };
const ENTRY = { name: "west", file: FILE, problem: "", fingerprint: "1" };
const IP = "cilium/state/ip/v1/default/";
const CACHED_IP = "cilium/cache/ip/v1/west/";
const CONFIG = "cilium/cluster-config/west";

let peerEtcd: MemoryEtcd;
let peerStore: MemoryStore;
let ownStore: MemoryStore;
let clock: FakeClock;
let stops: (() => Promise<void>)[];

beforeEach(() => {
  peerEtcd = new MemoryEtcd();
  peerStore = createMemoryStore(peerEtcd);
  ownStore = createMemoryStore(new MemoryEtcd());
  clock = createFakeClock();
  stops = [];
});

afterEach(async () => {
  for (const stop of stops) await stop();
  peerStore.close();
  ownStore.close();
});

async function put(store: MemoryStore, entries: Record<string, string>): Promise<void> {
  for (const [key, value] of Object.entries(entries)) {
    await store.commit([{ kind: "put", key, value: Buffer.from(value) }], signal);
  }
}

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const page of ownStore.list(prefix, signal)) found.push(...page.map(({ key }) => key));
  return found;
}

const config = (id: number, capabilities: object = {}): string =>
  JSON.stringify({
    id,
    capabilities: { syncedCanaries: true, maxConnectedClusters: 255, ...capabilities },
  });
const endpoint = (ip: string, cluster = 2): string =>
  JSON.stringify({ IP: ip, HostIP: "192.168.2.1", ID: cluster * 65_536 + 1, Key: 0 });
const canaries = Object.fromEntries(
  ["nodes", "identities", "ip", "services"].map((kind) => [
    `cilium/synced/west/cilium/state/${kind}/v1`,
    "2026-01-01T00:00:00Z",
  ]),
);
const beat = () => put(peerStore, { "cilium/.heartbeat": "2026-01-01T00:00:00Z" });

async function start(): Promise<PeerMirror> {
  const peer = createPeerMirror(ENTRY, {
    own: OWN,
    ownStore,
    openPeerStore: () => createMemoryStore(peerEtcd),
    claims: createClaims(),
    clusterIds: createClusterIds(OWN),
    ownClaimsReady: () => Promise.resolve(),
    clock,
    random: () => 0,
    log: silentLogger,
  });
  await peer.adopt(signal);
  const abort = new AbortController();
  const running = peer.run(abort.signal);
  stops.push(async () => {
    abort.abort();
    await running;
  });
  await clock.advance(2_000);
  return peer;
}

/** What an earlier run of ours left in our etcd. */
const cacheBefore = {
  [CONFIG]: config(2, { cached: true }),
  [`${CACHED_IP}10.2.0.5`]: endpoint("10.2.0.5"),
  [`${CACHED_IP}10.2.0.6`]: endpoint("10.2.0.6"),
  "cilium/synced/west/cilium/cache/ip/v1": "2026-01-01T00:00:00Z",
};

describe("createPeerMirror()", () => {
  test("mirrors a peer and says so once it is all there", async () => {
    await put(peerStore, {
      [CONFIG]: config(2),
      [`${IP}10.2.0.5`]: endpoint("10.2.0.5"),
      ...canaries,
    });
    const peer = await start();
    await beat();
    await clock.advance(2_000);
    expect(await keys("cilium/")).toEqual([
      `${CACHED_IP}10.2.0.5`,
      CONFIG,
      ...["identities", "ip", "nodes", "services"].map(
        (kind) => `cilium/synced/west/cilium/cache/${kind}/v1`,
      ),
    ]);
    expect(peer.status()).toMatchObject({ state: "ready", synced: true, id: 2 });
  });

  test("mirrors what a peer says of its own drains, and nothing that it says of others", async () => {
    const drain = (id: string, cluster: string): string =>
      JSON.stringify({ id, cluster, percent: 100 });
    await put(peerStore, {
      [CONFIG]: config(2),
      "tombolo/state/drains/v1/west/a": drain("a", "west"),
      "tombolo/state/drains/v1/west/b": drain("b", "east"),
      "cilium/synced/west/tombolo/state/drains/v1": "2026-01-01T00:00:00Z",
      ...canaries,
    });
    const peer = await start();
    await beat();
    await clock.advance(2_000);
    expect(await keys("tombolo/cache/drains/")).toEqual(["tombolo/cache/drains/v1/west/a"]);
    expect(await keys("cilium/synced/west/tombolo/")).toEqual([
      "cilium/synced/west/tombolo/cache/drains/v1",
    ]);
    const status = peer.status();
    expect(status).toMatchObject({ state: "ready", synced: true });
    expect(status.kinds.find(({ kind }) => kind === "drains")).toMatchObject({
      records: 1,
      rejected: 1,
      rejectedLatest: [expect.stringContaining('"west" drains cluster "east"')],
    });
  });

  const refused: [string, string, string][] = [
    ["with our id", config(1), 'its id 1 is that of "east"'],
    ["that only holds a copy", config(2, { cached: true }), "only holds a mirrored copy"],
    ["of another width", config(2, { maxConnectedClusters: 511 }), "a mesh of 511 clusters"],
    ["whose config is garbage", "{", "cluster config"],
  ];
  for (const [what, value, reason] of refused) {
    test(`refuses a peer ${what}, reads nothing of it, and takes it when that is mended`, async () => {
      await put(peerStore, {
        [CONFIG]: value,
        [`${IP}10.2.0.5`]: endpoint("10.2.0.5"),
        ...canaries,
      });
      const peer = await start();
      expect(peer.status().state).toBe("refused");
      expect(peer.status().reason).toContain(reason);
      expect(await keys("cilium/")).toEqual([]);
      await put(peerStore, { [CONFIG]: config(2) });
      await clock.advance(30_000);
      await beat();
      await clock.advance(2_000);
      expect(peer.status().state).toBe("ready");
    });
  }

  test("waits for a peer that has not described itself", async () => {
    const peer = await start();
    expect(peer.status()).toMatchObject({
      state: "connecting",
      reason: expect.stringContaining(CONFIG),
    });
  });

  test("serves its cache from before while the peer is away, canaries and all", async () => {
    await put(ownStore, cacheBefore);
    peerStore.disconnect();
    const peer = await start();
    expect(await keys("cilium/")).toEqual(Object.keys(cacheBefore).sort(byText));
    expect(peer.status()).toMatchObject({ id: 2, synced: false });
  });

  test("removes what the peer no longer has only when it has read the peer's list", async () => {
    await put(ownStore, cacheBefore);
    await put(peerStore, { [CONFIG]: config(2), [`${IP}10.2.0.5`]: endpoint("10.2.0.5") });
    await start();
    await clock.advance(30_000);
    expect(await keys(CACHED_IP)).toHaveLength(2);
    await put(peerStore, canaries);
    await beat();
    await clock.advance(5_000);
    expect(await keys(CACHED_IP)).toEqual([`${CACHED_IP}10.2.0.5`]);
  });

  test("drops a cache that nobody was told about by a config", async () => {
    const { [CONFIG]: _, ...rest } = cacheBefore;
    await put(ownStore, rest);
    await put(peerStore, { [CONFIG]: config(2), ...canaries });
    await start();
    await beat();
    await clock.advance(5_000);
    expect(await keys(CACHED_IP)).toEqual([]);
  });

  test("takes a peer with a new id for another cluster", async () => {
    await put(peerStore, {
      [CONFIG]: config(2),
      [`${IP}10.2.0.5`]: endpoint("10.2.0.5"),
      ...canaries,
    });
    const peer = await start();
    await beat();
    await clock.advance(2_000);
    await put(peerStore, { [CONFIG]: config(3) });
    await clock.advance(60_000);
    await beat();
    await clock.advance(5_000);
    expect(peer.status()).toMatchObject({ id: 3, state: "ready" });
    expect(await keys(CACHED_IP)).toEqual([]);
    await put(peerStore, { [`${IP}10.2.0.5`]: endpoint("10.2.0.5", 3) });
    await clock.advance(2_000);
    expect(await keys(CACHED_IP)).toEqual([`${CACHED_IP}10.2.0.5`]);
  });

  test("goes on with the last good file beside a broken one, and tells it", async () => {
    await put(peerStore, { [CONFIG]: config(2), ...canaries });
    const peer = await start();
    await beat();
    await clock.advance(2_000);
    peer.setEntry({ name: "west", file: undefined, problem: "it is broken", fingerprint: "2" });
    await clock.advance(2_000);
    expect(peer.status()).toMatchObject({ state: "ready", reason: "it is broken" });
  });
});

const byText = (a: string, b: string): number => (a < b ? -1 : 1);
