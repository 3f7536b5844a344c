import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createClaims } from "../../../../apiserver/mirror/claims.ts";
import { createClusterIds } from "../../../../apiserver/mirror/cluster-ids.ts";
import { createMirrors, type Mirrors } from "../../../../apiserver/mirror/mirrors.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import { eventually } from "../../../fakes/eventually.ts";

const signal = new AbortController().signal;
const OWN = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const FILE = `endpoints: ["https://10.0.0.2:2379"]
trusted-ca-file: /a
key-file: /k
cert-file: /c
`;

let directory: string;
let ownStore: MemoryStore;
let peerEtcds: Map<string, MemoryEtcd>;
let mirrors: Mirrors;
let configured: string[][];
let stop: () => Promise<void>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-as-mirrors-"));
  ownStore = createMemoryStore(new MemoryEtcd());
  peerEtcds = new Map();
  configured = [];
});

afterEach(async () => {
  await stop();
  ownStore.close();
  await rm(directory, { recursive: true });
});

async function put(store: MemoryStore, key: string, value: string): Promise<void> {
  await store.commit([{ kind: "put", key, value: Buffer.from(value) }], signal);
}

/** A peer's etcd that holds its config and nothing else. */
async function peer(name: string, id: number): Promise<void> {
  const etcd = new MemoryEtcd();
  peerEtcds.set(name, etcd);
  const store = createMemoryStore(etcd);
  await put(store, `cilium/cluster-config/${name}`, config(id));
  store.close();
  await writeFile(join(directory, `${name}.yaml`), FILE);
}

const config = (id: number): string =>
  JSON.stringify({ id, capabilities: { syncedCanaries: true, maxConnectedClusters: 255 } });

function start(): void {
  const abort = new AbortController();
  mirrors = createMirrors({
    directory,
    own: OWN,
    ownStore,
    openPeerStore: (name) => createMemoryStore(peerEtcds.get(name) ?? new MemoryEtcd()),
    claims: createClaims(),
    clusterIds: createClusterIds(OWN),
    configuredPeers: {
      restore: () => Promise.resolve(),
      configure: (names) => configured.push([...names].sort()),
    },
    ownClaimsReady: () => Promise.resolve(),
    clock: systemClock,
    random: () => 0,
    log: silentLogger,
  });
  const running = mirrors.run(abort.signal).catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  stop = async () => {
    abort.abort();
    await running;
  };
}

const states = (): Record<string, string> =>
  Object.fromEntries(mirrors.status().map(({ name, state }) => [name, state]));
const hasConfig = async (name: string): Promise<boolean> =>
  (await ownStore.get(`cilium/cluster-config/${name}`, signal)) !== undefined;

describe("createMirrors()", () => {
  test("begins and ends a mirror with its file", async () => {
    await peer("west", 2);
    start();
    await eventually(() => hasConfig("west"));
    await peer("north", 3);
    await eventually(() => hasConfig("north"));
    expect(states()).toEqual({ north: "syncing", west: "syncing" });
    await unlink(join(directory, "west.yaml"));
    await eventually(() => states()["west"] === "removing");
    await eventually(async () => !(await hasConfig("west")));
    await eventually(() => states()["west"] === undefined);
    expect(await hasConfig("north")).toBe(true);
    expect(configured).toEqual([["west"], ["north", "west"], ["north"]]);
  }, 60_000);

  test("refuses the second of two peers with one id", async () => {
    await peer("west", 2);
    start();
    await eventually(() => hasConfig("west"));
    await peer("north", 2);
    await eventually(() => states()["north"] === "refused");
    expect(mirrors.status().find(({ name }) => name === "north")?.reason).toContain(
      'its id 2 is that of "west"',
    );
    expect(await hasConfig("north")).toBe(false);
  }, 60_000);

  test("takes away what is left of a peer that was removed while it was not running", async () => {
    await put(ownStore, "cilium/cluster-config/gone", config(9));
    await put(ownStore, "cilium/cluster-config/east", config(1));
    start();
    await eventually(async () => !(await hasConfig("gone")));
    expect(await hasConfig("east")).toBe(true);
  }, 60_000);

  test("never mirrors or removes the cluster itself", async () => {
    await put(ownStore, "cilium/cluster-config/east", config(1));
    await peer("east", 1);
    start();
    await eventually(() => states()["east"] === "refused");
    await unlink(join(directory, "east.yaml"));
    await peer("west", 2);
    await eventually(() => states()["east"] === undefined && states()["west"] !== undefined);
    expect(await hasConfig("east")).toBe(true);
  }, 60_000);

  test("tells a broken peer file and removes nothing for it", async () => {
    await peer("west", 2);
    start();
    await eventually(() => hasConfig("west"));
    await writeFile(join(directory, "west.yaml"), "endpoints: [");
    await eventually(() => mirrors.status()[0]?.reason.includes("west.yaml"));
    expect(await hasConfig("west")).toBe(true);
  }, 60_000);
});
