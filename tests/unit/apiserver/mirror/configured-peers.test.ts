import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createClusterIds, type ClusterIds } from "../../../../apiserver/mirror/cluster-ids.ts";
import {
  createConfiguredPeers,
  type ConfiguredPeers,
} from "../../../../apiserver/mirror/configured-peers.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import { eventually } from "../../../fakes/eventually.ts";

const never = new AbortController().signal;
const PREFIX = "tombolo/local/peers/v1/east/";
const CANARY = "cilium/synced/east/tombolo/local/peers/v1";

let directory: string;
let path: string;
let store: MemoryStore;
let clusterIds: ClusterIds;
let peers: ConfiguredPeers;
let stop: () => Promise<void>;

function start(): void {
  const abort = new AbortController();
  clusterIds = createClusterIds({ name: "east", id: 1 });
  peers = createConfiguredPeers({
    cluster: "east",
    path,
    clusterIds,
    store,
    clock: systemClock,
    random: () => 0,
    log: silentLogger,
  });
  const running = peers.run(abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-as-peers-"));
  path = join(directory, "peers.json");
  store = createMemoryStore(new MemoryEtcd());
  start();
});

afterEach(async () => {
  await stop();
  store.close();
  await rm(directory, { recursive: true });
});

async function published(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for await (const page of store.list(PREFIX, never)) {
    for (const { key, value } of page) {
      found[key.slice(PREFIX.length)] = JSON.parse(value.toString());
    }
  }
  return found;
}
const publishes = (wanted: object): Promise<unknown> =>
  eventually(async () => JSON.stringify(await published()) === JSON.stringify(wanted), {
    what: `published is ${JSON.stringify(wanted)}`,
  });
const hasCanary = async (): Promise<boolean> => (await store.get(CANARY, never)) !== undefined;

describe("createConfiguredPeers()", () => {
  test("publishes nothing to believe before it has been told once, and an empty list then", async () => {
    clusterIds.reserve(2, "west");
    expect(await hasCanary()).toBe(false);
    peers.configure([]);
    await eventually(hasCanary);
    expect(await published()).toEqual({});
  });

  test("publishes names, and ids when they become known", async () => {
    peers.configure(["west", "north", "No_Name"]);
    await publishes({ north: { name: "north" }, west: { name: "west" } });
    await eventually(hasCanary);
    clusterIds.reserve(2, "west");
    await publishes({ north: { name: "north" }, west: { name: "west", id: 2 } });
  });

  test("drops a peer that is no longer configured, also one of an earlier run", async () => {
    const value = Buffer.from('{"name":"gone","id":9}');
    await store.commit([{ kind: "put", key: `${PREFIX}gone`, value }], never);
    clusterIds.reserve(2, "west");
    peers.configure(["west"]);
    await publishes({ west: { name: "west", id: 2 } });
    peers.configure([]);
    clusterIds.release("west");
    await publishes({});
  });

  test("remembers ids in a file, which yield to what is known already", async () => {
    clusterIds.reserve(2, "west");
    clusterIds.reserve(3, "north");
    peers.configure(["west", "north"]);
    await eventually(async () => (await readFile(path, "utf8").catch(() => "")).includes("north"));
    await stop();
    store.close();
    store = createMemoryStore(new MemoryEtcd());
    start();
    clusterIds.reserve(5, "north");
    await peers.restore(["west", "north"]);
    peers.configure(["west", "north"]);
    await publishes({ north: { name: "north", id: 5 }, west: { name: "west", id: 2 } });
  });

  test("does without a file that is broken", async () => {
    await writeFile(path, '[{"name":"west","id":"two"}]');
    await peers.restore(["west"]);
    peers.configure(["west"]);
    await publishes({ west: { name: "west" } });
  });

  test("writes a key again whose lease was lost", async () => {
    peers.configure(["west"]);
    await publishes({ west: { name: "west" } });
    await store.commit([{ kind: "delete", key: `${PREFIX}west` }], never);
    peers.reapply([`${PREFIX}west`]);
    await publishes({ west: { name: "west" } });
  });
});
