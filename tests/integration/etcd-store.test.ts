// The etcd store where only a real etcd will do: leases, sizes, slow readers, several endpoints.
import { afterEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import {
  createEtcdStore,
  type EtcdStore,
  type EtcdStoreOptions,
} from "../../mesh/kvstore/etcd-store.ts";
import type { StoreOperation, WatchEvent } from "../../mesh/kvstore/store.ts";
import { freePorts, startTestEtcd, type TestEtcd } from "../fakes/etcd.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTcpProxy, type TcpProxy } from "../fakes/proxy.ts";

const LIMIT_MS = 120_000;
const signal = new AbortController().signal;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startEtcd(options?: Parameters<typeof startTestEtcd>[0]): Promise<TestEtcd> {
  const etcd = await startTestEtcd(options);
  closers.push(() => etcd.close());
  return etcd;
}

async function startProxy(etcd: TestEtcd): Promise<TcpProxy> {
  const proxy = await startTcpProxy({ targetPort: etcd.port });
  closers.push(() => proxy.close());
  return proxy;
}

function open(endpoints: readonly string[], options: Partial<EtcdStoreOptions> = {}): EtcdStore {
  const store = createEtcdStore({
    endpoints,
    tls: undefined,
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    ...options,
  });
  closers.push(async () => store.close());
  return store;
}

const put = (key: string, value: string | Buffer): StoreOperation => ({
  kind: "put",
  key,
  value: Buffer.from(value),
});

const numbered = (count: number, value: string | Buffer): StoreOperation[] =>
  Array.from({ length: count }, (_, i) => put(`k/${String(i).padStart(6, "0")}`, value));

/** Collects a watch until the test ends. */
function follow(store: EtcdStore, prefix: string): WatchEvent[] {
  const events: WatchEvent[] = [];
  const end = new AbortController();
  const run = (async () => {
    for await (const batch of store.watch(prefix, end.signal)) events.push(...batch);
  })();
  closers.push(async () => {
    end.abort();
    await run;
  });
  return events;
}

const has = (events: readonly WatchEvent[], kind: WatchEvent["kind"], key?: string): boolean =>
  events.some(
    (event) => event.kind === kind && (key === undefined || ("key" in event && event.key === key)),
  );

async function leases(etcd: TestEtcd): Promise<{ id: string; keys: number; ttl: number }[]> {
  const ask = <Response>(method: string, request: object): Promise<Response> =>
    etcd.connection.call<Response>(
      { service: "Lease", method, request, timeoutMs: 10_000, doing: method },
      signal,
    );
  const { leases: all } = await ask<{ leases: { ID: string }[] }>("leaseLeases", {});
  const found = [];
  for (const { ID } of all) {
    const { keys, TTL } = await ask<{ keys: Buffer[]; TTL: string }>("leaseTimeToLive", {
      ID,
      keys: true,
    });
    found.push({ id: ID, keys: keys.length, ttl: Number(TTL) });
  }
  return found;
}

describe("createEtcdStore() and leases", () => {
  test(
    "attaches at most 1,000 keys to a lease, and the same ones when written again",
    async () => {
      const etcd = await startEtcd();
      const store = open([etcd.endpoint]);
      await store.commit([...numbered(2_500, "1"), put("cilium/.heartbeat", "now")], signal);
      const first = await leases(etcd);
      expect(first.map(({ keys }) => keys).toSorted((a, b) => a - b)).toEqual([
        1, 500, 1_000, 1_000,
      ]);
      await store.commit(numbered(2_500, "2"), signal);
      expect(await leases(etcd)).toHaveLength(first.length);
      // The heartbeat's lease ends before those that it vouches for.
      const vouching = first.find(({ keys }) => keys === 1);
      const data = first.find(({ keys }) => keys === 1_000);
      expect(vouching?.ttl).toBeLessThan((data?.ttl ?? 0) - 60);
    },
    LIMIT_MS,
  );

  test(
    "tells which keys were lost, until they are written again",
    async () => {
      const etcd = await startEtcd();
      const store = open([etcd.endpoint], { leaseTtlSeconds: 9 });
      await store.commit(numbered(1_500, "1"), signal);
      const lost = new Set<string>();
      const end = new AbortController();
      const following = (async () => {
        for await (const keys of store.lostKeys(end.signal)) for (const key of keys) lost.add(key);
      })();
      const [doomed] = (await leases(etcd)).filter(({ keys }) => keys === 500);
      await etcd.connection.call(
        {
          service: "Lease",
          method: "leaseRevoke",
          request: { ID: doomed?.id },
          timeoutMs: 10_000,
          doing: "revoke",
        },
        signal,
      );
      await eventually(() => lost.size === 500);
      expect(store.lostCount()).toBe(500);
      await store.commit(
        [...lost].map((key) => put(key, "2")),
        signal,
      );
      expect(store.lostCount()).toBe(0);
      expect((await leases(etcd)).map(({ keys }) => keys)).toContain(500);
      end.abort();
      await following;
    },
    LIMIT_MS,
  );

  test(
    "leaves its keys behind when it is closed",
    async () => {
      const etcd = await startEtcd();
      const store = createEtcdStore({
        endpoints: [etcd.endpoint],
        tls: undefined,
        clock: systemClock,
        random: Math.random,
        log: silentLogger,
      });
      await store.commit(numbered(1, "1"), signal);
      store.close();
      expect((await open([etcd.endpoint]).get("k/000000", signal))?.value.toString()).toBe("1");
      expect(await leases(etcd)).toHaveLength(1);
    },
    LIMIT_MS,
  );
});

describe("createEtcdStore() and sizes", () => {
  const RECEIVE_LIMIT_BYTES = 128 * 1024;

  test(
    "list() makes pages that fit, and skips a value that never does",
    async () => {
      const etcd = await startEtcd();
      const writer = open([etcd.endpoint]);
      await writer.commit(numbered(40, Buffer.alloc(50_000, "x")), signal);
      await writer.commit([put("k/000007", Buffer.alloc(500_000, "x"))], signal);
      const reader = open([etcd.endpoint], { receiveLimitBytes: RECEIVE_LIMIT_BYTES });
      const keys: string[] = [];
      for await (const page of reader.list("k/", signal)) keys.push(...page.map(({ key }) => key));
      expect(keys).toHaveLength(39);
      expect(keys).not.toContain("k/000007");
    },
    LIMIT_MS,
  );

  test(
    "watch() names a value that is too large and goes on with the others",
    async () => {
      const etcd = await startEtcd();
      const writer = open([etcd.endpoint]);
      await writer.commit(numbered(3, "1"), signal);
      const reader = open([etcd.endpoint], { receiveLimitBytes: RECEIVE_LIMIT_BYTES });
      const events = follow(reader, "k/");
      await eventually(() => has(events, "synced"));
      await writer.commit([put("k/big", Buffer.alloc(500_000, "x"))], signal);
      await eventually(() => has(events, "refused", "k/big"));
      await writer.commit([put("k/after", "1")], signal);
      await eventually(() => has(events, "put", "k/after"));
    },
    LIMIT_MS,
  );

  test(
    "a slow reader of watch() misses nothing, and does not hold up another",
    async () => {
      const etcd = await startEtcd();
      const writer = open([etcd.endpoint]);
      await writer.commit(numbered(1, "1"), signal);
      const reader = open([etcd.endpoint]);
      const seen = new Map<string, string>();
      let disconnects = 0;
      let release = (): void => {};
      const blocked = new Promise<void>((resolve) => {
        release = resolve;
      });
      const end = new AbortController();
      const slow = (async () => {
        for await (const batch of reader.watch("k/", end.signal)) {
          for (const event of batch) {
            if (event.kind === "put") seen.set(event.key, event.value.subarray(0, 1).toString());
            if (event.kind === "disconnected") disconnects++;
          }
          if (batch.some(({ kind }) => kind === "synced")) await blocked;
        }
      })();
      const fast = follow(reader, "k/");
      await eventually(() => has(fast, "synced") && seen.size === 1);
      // Several times what the slow one's buffer takes.
      await writer.commit(numbered(16_000, Buffer.alloc(1_000, "2")), signal);
      await eventually(() => fast.length > 16_000, { limitMs: 60_000 });
      expect(seen.size).toBe(1);
      release();
      await eventually(() => seen.size === 16_000 && [...seen.values()].every((v) => v === "2"), {
        limitMs: 60_000,
      });
      expect(disconnects).toBe(0);
      end.abort();
      await slow;
    },
    LIMIT_MS,
  );

  test(
    "carries many watches over one connection",
    async () => {
      const etcd = await startEtcd();
      const proxy = await startProxy(etcd);
      const writer = open([etcd.endpoint]);
      const reader = open([`127.0.0.1:${proxy.port}`]);
      const all = Array.from({ length: 1_000 }, (_, i) => follow(reader, `w${i}/`));
      await eventually(() => all.every((events) => has(events, "synced")), { limitMs: 60_000 });
      await writer.commit(
        Array.from(all.keys(), (i) => put(`w${i}/x`, "1")),
        signal,
      );
      await eventually(() => all.every((events) => has(events, "put")), { limitMs: 60_000 });
      expect(proxy.accepted).toBe(1);
    },
    LIMIT_MS,
  );
});

describe("createEtcdStore() and endpoints", () => {
  test(
    "finds the endpoint that works and moves on when it does not any more",
    async () => {
      const etcd = await startEtcd();
      const [dead] = await freePorts(1);
      const one = await startProxy(etcd);
      const other = await startProxy(etcd);
      const store = open([dead, one.port, other.port].map((port) => `http://127.0.0.1:${port}`));
      const events = follow(store, "k/");
      await eventually(() => has(events, "synced"));
      for (const proxy of [one, other]) {
        await proxy.refuse();
        const name = `k/${proxy.port}`;
        await open([etcd.endpoint]).commit([put(name, "1")], signal);
        await eventually(() => has(events, "put", name), { limitMs: 60_000 });
        await proxy.pass();
      }
    },
    LIMIT_MS,
  );

  test("rejects with what is wrong when nothing answers", async () => {
    const [dead] = await freePorts(1);
    const store = open([`http://127.0.0.1:${dead}`]);
    const error = await store.get("a", signal).catch((reason: unknown) => reason);
    expect(isMeshError(error, "unavailable")).toBe(true);
  });
});
