// Heartbeat and canaries: written when, and only when, everything behind them is there.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { HEARTBEAT_KEY } from "../../../../mesh/kvstore/keys.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import { runVouching } from "../../../../mesh/kvstore/vouching.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

const CANARY = "cilium/synced/east/x";
const signal = new AbortController().signal;

describe("runVouching()", () => {
  let etcd: MemoryEtcd;
  let store: MemoryStore;
  let clock: FakeClock;
  let end: AbortController;
  let running: Promise<void>;
  let complete: boolean;

  beforeEach(() => {
    etcd = new MemoryEtcd();
    store = createMemoryStore(etcd);
    clock = createFakeClock();
    end = new AbortController();
    complete = true;
  });
  afterEach(async () => {
    end.abort();
    await running;
    store.close();
  });

  async function start(keys: readonly string[], intervalMs?: number): Promise<void> {
    running = runVouching(
      {
        store,
        clock,
        log: silentLogger,
        keys,
        ready: () => complete,
        ...(intervalMs === undefined ? {} : { intervalMs }),
      },
      end.signal,
    );
    await clock.settle();
  }
  const value = (key: string): string | undefined =>
    etcd.entries({ prefix: key, maxKeys: 1, exact: true })[0]?.value.toString();

  test("waits until it is ready", async () => {
    complete = false;
    await start([CANARY]);
    await clock.advance(60_000);
    expect(value(CANARY)).toBeUndefined();
    complete = true;
    await clock.advance(1_000);
    expect(value(CANARY)).toBe("2026-01-01T00:01:00Z");
  });

  test("writes again every interval, if it has one", async () => {
    await start([HEARTBEAT_KEY], 60_000);
    expect(value(HEARTBEAT_KEY)).toBe("2026-01-01T00:00:00Z");
    await clock.advance(60_000);
    expect(value(HEARTBEAT_KEY)).toBe("2026-01-01T00:01:00Z");
  });

  test("writes again what was lost, after what it vouches for", async () => {
    await store.commit([{ kind: "put", key: "data", value: Buffer.from("1") }], signal);
    await start([CANARY]);
    store.expireLeases();
    await clock.advance(10_000);
    expect(value(CANARY)).toBeUndefined();
    await store.commit([{ kind: "put", key: "data", value: Buffer.from("1") }], signal);
    await clock.advance(1_000);
    expect(value(CANARY)).toBe("2026-01-01T00:00:10Z");
  });

  test("tries again when the store does not answer", async () => {
    store.disconnect();
    await start([CANARY]);
    await clock.advance(5_000);
    store.reconnect();
    await clock.advance(5_000);
    expect(value(CANARY)).toBeDefined();
  });

  test("gives up waiting for lost keys that nobody writes any more", async () => {
    await store.commit([{ kind: "put", key: "data", value: Buffer.from("1") }], signal);
    await start([HEARTBEAT_KEY], 60_000);
    store.expireLeases();
    await clock.advance(4 * 60_000);
    expect(value(HEARTBEAT_KEY)).toBeUndefined();
    await clock.advance(2 * 60_000);
    expect(value(HEARTBEAT_KEY)).toBeDefined();
  });
});
