// Invariant 2 on a real etcd: whatever happens to it, to the network or to the writer, no row
// that its cluster still exports is ever taken away from a reader, and what was deleted
// meanwhile is gone after resync. The writer is the real one: reconciler, leases, canaries, beats.
import { afterEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createReconciler } from "../../mesh/core/reconciler.ts";
import { createTable, type WritableTable } from "../../mesh/core/table.ts";
import { runTasks } from "../../mesh/core/tasks.ts";
import { runCanaries } from "../../mesh/kvstore/canaries.ts";
import { createEtcdStore, type EtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { runHeartbeat } from "../../mesh/kvstore/heartbeat.ts";
import { clusterConfigKey, stateWatchPrefix, syncedKey } from "../../mesh/kvstore/keys.ts";
import { createClusterSession, type ClusterSession } from "../../mesh/kvstore/session.ts";
import { createStoreOperations, runReapplyLost } from "../../mesh/kvstore/store-operations.ts";
import { startTestEtcd, type TestEtcd, type TestEtcdOptions } from "../fakes/etcd.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTcpProxy, type TcpProxy } from "../fakes/proxy.ts";

const CLUSTER = "east";
const PREFIX = stateWatchPrefix("services", CLUSTER);
const CANARY = syncedKey({ cluster: CLUSTER, kind: "services", cached: false });
const CONFIG = clusterConfigKey(CLUSTER);
/** The reader counts a writer as silent after twice this; the writer beats far more often. */
const READER_INTERVAL_MS = 1_500;
const WRITER_INTERVAL_MS = 200;
const KEEPALIVE_MS = 1_000;
const LIMIT_MS = 120_000;

const signal = new AbortController().signal;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface World {
  readonly etcd: TestEtcd;
  readonly proxy: TcpProxy;
  readonly reader: Reader;
}

async function startWorld(options: TestEtcdOptions = {}): Promise<World> {
  const etcd = await startTestEtcd({
    flags: ["--grpc-keepalive-min-time=100ms"],
    ...options,
  });
  closers.push(() => etcd.close());
  const proxy = await startTcpProxy({ targetPort: etcd.port });
  closers.push(() => proxy.close());
  const reader = startReader(proxy.port);
  closers.push(() => reader.close());
  return { etcd, proxy, reader };
}

function openStore(port: number, leaseTtlSeconds?: number): EtcdStore {
  return createEtcdStore({
    endpoints: [`127.0.0.1:${port}`],
    tls: undefined,
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    keepaliveMs: KEEPALIVE_MS,
    ...(leaseTtlSeconds === undefined ? {} : { leaseTtlSeconds }),
  });
}

interface Reader {
  readonly table: WritableTable<string>;
  readonly session: ClusterSession;
  /** Names that went from the table, in order. */
  readonly vanished: string[];
  names(): string;
  close(): Promise<void>;
}

function startReader(port: number): Reader {
  const table = createTable<string>({ name: "services" });
  const store = openStore(port);
  const end = new AbortController();
  const vanished: string[] = [];
  const session = createClusterSession({
    cluster: CLUSTER,
    store,
    kinds: [
      {
        prefix: PREFIX,
        canaryKey: CANARY,
        table,
        parse: (name, value) => {
          const text = value.toString();
          JSON.parse(text);
          return `${name}=${text.length}`;
        },
        maxRecords: 1_000,
        maxValueBytes: 10_000,
      },
    ],
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    heartbeatIntervalMs: READER_INTERVAL_MS,
  });
  const running = session.run(end.signal);
  const following = (async () => {
    for await (const keys of table.changes(end.signal))
      for (const key of keys) if (table.get(key) === undefined) vanished.push(key);
  })();
  return {
    table,
    session,
    vanished,
    names: () =>
      [...table.entries()]
        .map(([name]) => name)
        .toSorted(byText)
        .join(" "),
    async close() {
      end.abort();
      await Promise.all([running, following]);
      store.close();
    },
  };
}

interface Writer {
  readonly rows: WritableTable<Buffer>;
  /** Stops as a killed process does: nothing is revoked, nothing is said. */
  stop(): Promise<void>;
}

function startWriter(port: number, names: readonly string[], leaseTtlSeconds?: number): Writer {
  const store = openStore(port, leaseTtlSeconds);
  const end = new AbortController();
  const rows = createTable<Buffer>({ name: "export" });
  rows.put(CONFIG, Buffer.from(configText(1)));
  for (const name of names) rows.put(PREFIX + name, Buffer.from("{}"));
  rows.markSynced();
  const common = { clock: systemClock, log: silentLogger };
  const reconciler = createReconciler({
    ...common,
    desired: rows,
    operations: createStoreOperations({ store, prefix: PREFIX }),
    random: Math.random,
  });
  const complete = (): boolean => {
    const { applied, failed, pruned } = reconciler.status();
    return pruned && failed.size === 0 && applied >= rows.size;
  };
  const running = runTasks(
    [
      { name: "export", run: (inner) => reconciler.run(inner) },
      { name: "lost", run: (inner) => runReapplyLost({ store, reconciler }, inner) },
      {
        name: "canaries",
        run: (inner) => runCanaries({ ...common, store, keys: [CANARY], ready: complete }, inner),
      },
      {
        name: "heartbeat",
        run: (inner) => runHeartbeat({ ...common, store, intervalMs: WRITER_INTERVAL_MS }, inner),
      },
    ],
    end.signal,
  );
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    end.abort();
    await running;
    store.close();
  };
  closers.push(stop);
  return { rows, stop };
}

const configText = (id: number): string =>
  JSON.stringify({ id, capabilities: { syncedCanaries: true, maxConnectedClusters: 255 } });

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

const ready = (reader: Reader, names: string): Promise<true> =>
  eventually(() => reader.names() === names && reader.session.status().state.kind === "ready", {
    what: `the reader is ready with "${names}"`,
    limitMs: 60_000,
  });

const state = (reader: Reader): string => reader.session.status().state.kind;

describe("ClusterSession on a real etcd", () => {
  test(
    "survives kill -9 of etcd and applies what is deleted afterwards",
    async () => {
      const { etcd, reader } = await startWorld();
      const writer = startWriter(etcd.port, ["a", "b", "c"]);
      await ready(reader, "a b c");
      await etcd.kill();
      await eventually(() => state(reader) === "stale");
      expect(reader.names()).toBe("a b c");
      await etcd.restart();
      writer.rows.delete(`${PREFIX}b`);
      await ready(reader, "a c");
      expect(reader.vanished).toEqual(["b"]);
    },
    LIMIT_MS,
  );

  for (const fixedToken of [false, true]) {
    test(
      `takes no emptied etcd for a mass deletion (same cluster id: ${fixedToken})`,
      async () => {
        const { etcd, reader } = await startWorld({ fixedToken });
        const writer = startWriter(etcd.port, ["a", "b", "c"]);
        await ready(reader, "a b c");
        await writer.stop();
        await etcd.wipe();
        await eventually(() => reader.session.status().state.kind === "stale");
        await eventually(() => reader.session.status().reconnections > 0);
        expect(reader.names()).toBe("a b c");
        startWriter(etcd.port, ["a", "c", "d"]);
        await ready(reader, "a c d");
        expect(reader.vanished).toEqual(["b"]);
      },
      LIMIT_MS,
    );

    test(
      `sees an emptied etcd refilled by a writer that lived on (same cluster id: ${fixedToken})`,
      async () => {
        const { etcd, reader } = await startWorld({ fixedToken });
        const names = Array.from({ length: 300 }, (_, i) => `s${i}`);
        const writer = startWriter(etcd.port, names);
        await eventually(() => reader.table.size === 300 && state(reader) === "ready");
        await etcd.wipe();
        // The canary was written anew, so the reader began again and found everything.
        await eventually(() => reader.session.status().reconnections > 0);
        writer.rows.delete(`${PREFIX}s7`);
        await eventually(() => reader.table.size === 299 && state(reader) === "ready", {
          limitMs: 60_000,
        });
        expect(reader.vanished).toEqual(["s7"]);
      },
      LIMIT_MS,
    );
  }

  test(
    "sees another etcd by its history when its id is the same and it is further ahead",
    async () => {
      const { etcd, proxy, reader } = await startWorld({ fixedToken: true });
      const writer = startWriter(etcd.port, ["a", "b", "c"]);
      await ready(reader, "a b c");
      await proxy.refuse();
      await eventually(() => state(reader) === "stale");
      await writer.stop();
      await etcd.wipe();
      const filler = openStore(etcd.port);
      for (let i = 0; i < 200; i++)
        await filler.commit([{ kind: "put", key: "x", value: Buffer.from(String(i)) }], signal);
      filler.close();
      await proxy.pass();
      await eventually(() => {
        const { state: now } = reader.session.status();
        return now.kind === "stale" && now.reason.startsWith("waiting for");
      });
      expect(reader.names()).toBe("a b c");
      expect(reader.vanished).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "applies what it missed while it was cut off and history was compacted",
    async () => {
      const { etcd, proxy, reader } = await startWorld();
      const writer = startWriter(etcd.port, ["a", "b", "c"]);
      await ready(reader, "a b c");
      await proxy.refuse();
      await eventually(() => state(reader) === "stale");
      writer.rows.delete(`${PREFIX}b`);
      writer.rows.put(`${PREFIX}d`, Buffer.from("{}"));
      await eventually(() => present(etcd, `${PREFIX}d`));
      await eventually(async () => !(await present(etcd, `${PREFIX}b`)));
      await etcd.compact();
      expect(reader.names()).toBe("a b c");
      await proxy.pass();
      await ready(reader, "a c d");
      expect(reader.vanished).toEqual(["b"]);
    },
    LIMIT_MS,
  );

  test(
    "notices a black hole, freezes, and goes on afterwards",
    async () => {
      const { etcd, proxy, reader } = await startWorld();
      const writer = startWriter(etcd.port, ["a", "b"]);
      await ready(reader, "a b");
      await proxy.swallow();
      await eventually(() => state(reader) === "stale");
      writer.rows.delete(`${PREFIX}b`);
      await eventually(async () => !(await present(etcd, `${PREFIX}b`)));
      expect(reader.names()).toBe("a b");
      await proxy.pass();
      await ready(reader, "a");
    },
    LIMIT_MS,
  );

  test(
    "keeps the rows of a dead writer whose leases ran out, until it is back",
    async () => {
      const { etcd, reader } = await startWorld();
      const writer = startWriter(etcd.port, ["a", "b", "c"], 6);
      await ready(reader, "a b c");
      await writer.stop();
      await eventually(async () => !(await present(etcd, `${PREFIX}a`)), { limitMs: 60_000 });
      expect(await present(etcd, CANARY)).toBe(false);
      expect(reader.names()).toBe("a b c");
      expect(state(reader)).toBe("stale");
      startWriter(etcd.port, ["a", "c"], 6);
      await ready(reader, "a c");
      expect(reader.vanished).toEqual(["b"]);
    },
    LIMIT_MS,
  );

  test(
    "survives garbage: counters and status change, nothing else does",
    async () => {
      const { etcd, reader } = await startWorld();
      startWriter(etcd.port, ["a", "b", "c"]);
      await ready(reader, "a b c");
      const spoiler = openStore(etcd.port);
      closers.push(async () => spoiler.close());
      const garbage = (name: string, value: string | Buffer): Promise<bigint> =>
        spoiler.commit([{ kind: "put", key: PREFIX + name, value: Buffer.from(value) }], signal);
      await garbage("a", '{"truncated":');
      await garbage("b", Buffer.alloc(1_000_000, "x"));
      await garbage("", "{}");
      await garbage("not/utf8", Buffer.from([0xff, 0xfe, 0x00]));
      const before = process.memoryUsage().heapUsed;
      const flood = Array.from({ length: 20_000 }, (_, i) => ({
        kind: "put" as const,
        key: `${PREFIX}flood-${i}`,
        value: Buffer.from(`{"n":"${"x".repeat(300)}"}`),
      }));
      await spoiler.commit(flood, signal);
      await spoiler.commit(
        [{ kind: "put", key: `${PREFIX}c`, value: Buffer.from('{"n":1}') }],
        signal,
      );
      await eventually(() => reader.table.get("c") === "c=7");
      // Keys whose records are refused take room as well.
      expect(reader.table.size).toBeGreaterThan(990);
      expect(reader.table.size).toBeLessThanOrEqual(1_000);
      expect(reader.table.get("a")).toBe("a=2");
      expect(reader.table.get("b")).toBe("b=2");
      expect(state(reader)).toBe("ready");
      const rejected = reader.session.status().rejected.get(PREFIX);
      expect(rejected?.count).toBeGreaterThan(18_000);
      expect(rejected?.latest.length).toBeLessThan(20);
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(200_000_000);
    },
    LIMIT_MS,
  );
});

async function present(etcd: TestEtcd, key: string): Promise<boolean> {
  const { kvs } = await etcd.connection.call<{ kvs: readonly unknown[] }>(
    {
      service: "KV",
      method: "range",
      request: { key: Buffer.from(key) },
      timeoutMs: 10_000,
      doing: "look",
    },
    signal,
  );
  return kvs.length > 0;
}
