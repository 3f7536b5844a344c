import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { bufferTable } from "../../../apiserver/export/desired.ts";
import {
  createKindWriter,
  createSingleKeysWriter,
  type KindWriter,
} from "../../../apiserver/kind-writer.ts";
import { silentLogger } from "../../../mesh/core/logger.ts";
import type { WritableTable } from "../../../mesh/core/table.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../mesh/kvstore/memory-store.ts";
import { createFakeClock, type FakeClock } from "../../fakes/clock.ts";

const signal = new AbortController().signal;
const CANARY = "cilium/synced/east/cilium/state/ip/v1";

let store: MemoryStore;
let clock: FakeClock;
let desired: WritableTable<Buffer>;
let stop: AbortController;
let running: Promise<void>;

beforeEach(() => {
  store = createMemoryStore(new MemoryEtcd());
  clock = createFakeClock();
  desired = bufferTable("test");
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await running;
  store.close();
});

function start(leftovers?: Set<string>): KindWriter {
  const writer = createKindWriter({
    desired,
    prefix: "ip/",
    canaryKey: CANARY,
    store,
    clock,
    random: () => 0,
    log: silentLogger,
    ...(leftovers === undefined ? {} : { leftovers }),
  });
  running = writer.run(stop.signal);
  return writer;
}

async function keys(): Promise<string[]> {
  const found: string[] = [];
  for (const prefix of ["ip/", "cilium/"]) {
    for await (const page of store.list(prefix, signal)) found.push(...page.map(({ key }) => key));
  }
  return found;
}

const put = (key: string) =>
  store.commit([{ kind: "put", key, value: Buffer.from("old") }], signal);

describe("createKindWriter()", () => {
  test("prunes and writes the canary only once its table is synced", async () => {
    await put("ip/old");
    desired.put("ip/a", Buffer.from("1"));
    const writer = start();
    await clock.advance(1_000);
    expect(await keys()).toEqual(["ip/a", "ip/old"]);
    expect(writer.status()).toMatchObject({ applied: 1, synced: false });
    desired.markSynced();
    await clock.advance(1_000);
    expect(await keys()).toEqual(["ip/a", CANARY]);
    expect(writer.status().synced).toBe(true);
  });

  test("takeOverCanary() vouches again for what an earlier run wrote, and prunes nothing", async () => {
    await put("ip/other");
    desired.put("ip/a", Buffer.from("1"));
    const writer = start();
    writer.takeOverCanary();
    await clock.advance(1_000);
    expect(await keys()).toEqual(["ip/a", "ip/other", CANARY]);
    expect(writer.status().synced).toBe(false);
  });

  test("prunes only what its owner has listed, where it has", async () => {
    await put("ip/listed");
    await put("ip/unlisted");
    desired.put("ip/kept", Buffer.from("1"));
    desired.markSynced();
    const leftovers = new Set(["ip/listed", "ip/kept"]);
    start(leftovers);
    await clock.advance(1_000);
    expect(await keys()).toEqual(["ip/kept", "ip/unlisted", CANARY]);
    expect(leftovers.size).toBe(0);
  });

  test("lets a row that can never be written not hold up the canary", async () => {
    desired.put("ip/a", Buffer.alloc(2 * 1024 * 1024));
    desired.put("ip/b", Buffer.from("1"));
    desired.markSynced();
    const writer = start();
    await clock.advance(1_000);
    expect(await keys()).toEqual(["ip/b", CANARY]);
    expect([...writer.status().failed.keys()]).toEqual(["ip/a"]);
  });

  test("waits with the canary while etcd is away", async () => {
    store.disconnect();
    desired.put("ip/a", Buffer.from("1"));
    desired.markSynced();
    const writer = start();
    await clock.advance(5_000);
    expect(writer.status()).toMatchObject({ synced: false });
    store.reconnect();
    await clock.advance(60_000);
    expect(await keys()).toEqual(["ip/a", CANARY]);
  });

  test("reapply() writes its own lost keys again", async () => {
    desired.put("ip/a", Buffer.from("1"));
    desired.markSynced();
    const writer = start();
    await clock.advance(1_000);
    store.expireLeases(["ip/a"]);
    writer.reapply(["ip/a", "other/b"]);
    await clock.advance(1_000);
    expect(await keys()).toEqual(["ip/a", CANARY]);
  });
});

describe("createSingleKeysWriter()", () => {
  test("writes its keys and leaves all others alone", async () => {
    await put("ip/other");
    desired.put("cilium/cluster-config/east", Buffer.from("{}"));
    const writer = createSingleKeysWriter({
      desired,
      store,
      clock,
      random: () => 0,
      log: silentLogger,
    });
    running = writer.run(stop.signal);
    await clock.advance(1_000);
    expect(await keys()).toEqual(["ip/other", "cilium/cluster-config/east"]);
    expect(writer.status()).toMatchObject({ desired: 1, applied: 1, synced: true });
    store.expireLeases(["cilium/cluster-config/east"]);
    writer.reapply(["cilium/cluster-config/east", "ip/other"]);
    await clock.advance(1_000);
    expect(await keys()).toContain("cilium/cluster-config/east");
  });
});
