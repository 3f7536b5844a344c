// When a deletion is believed: sessions on a memory etcd and a clock that the tests move.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createTable, type WritableTable } from "../../../../mesh/core/table.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import { createClusterSession, type ClusterSession } from "../../../../mesh/kvstore/session.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { ExportingCluster, INTERVAL_MS } from "../../../fakes/exporting-cluster.ts";

const MINUTE_MS = 60_000;
const MAX_RECORDS = 20;
const OPTIONAL_CANARY = "cilium/synced/east/optional";

class World {
  readonly etcd = new MemoryEtcd();
  readonly clock: FakeClock = createFakeClock();
  readonly writer = new ExportingCluster(this.etcd, this.clock);
  readonly store: MemoryStore = createMemoryStore(this.etcd);
  readonly table: WritableTable<string> = createTable<string>({ name: "services" });
  readonly optional: WritableTable<string> = createTable<string>({ name: "optional" });
  readonly session: ClusterSession;
  readonly #end = new AbortController();
  #run: Promise<void> | undefined;

  constructor(
    options: { expectedId?: number; drainOnConfigRemoval?: boolean; optionalKind?: boolean } = {},
  ) {
    this.session = createClusterSession({
      ...options,
      cluster: this.writer.name,
      store: this.store,
      kinds: [
        {
          prefix: this.writer.prefix,
          canaryKey: this.writer.canaryKey,
          table: this.table,
          parse: (name, value) => {
            if (value.toString() === "bad")
              throw new MeshError("invalid_argument", `Cannot read ${name}: it is bad`);
            return value.toString();
          },
          maxRecords: MAX_RECORDS,
          maxValueBytes: 100,
        },
        ...(options.optionalKind === true
          ? [
              {
                prefix: "optional/",
                canaryKey: OPTIONAL_CANARY,
                table: this.optional,
                parse: (_: string, value: Buffer) => value.toString(),
                maxRecords: MAX_RECORDS,
                maxValueBytes: 100,
                optional: true,
              },
            ]
          : []),
      ],
      clock: this.clock,
      random: () => 0.5,
      log: silentLogger,
    });
  }

  async start(): Promise<void> {
    this.#run = this.session.run(this.#end.signal);
    await this.clock.settle();
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.clock.advance(0);
    await this.#run;
    this.store.close();
  }

  rows(): Record<string, string> {
    return Object.fromEntries(this.table.entries());
  }

  state(): string {
    return this.session.status().state.kind;
  }
}

/** A session that has read a, b and c. */
async function readyWorld(options?: ConstructorParameters<typeof World>[0]): Promise<World> {
  const world = new World(options);
  for (const name of ["a", "b", "c"]) world.writer.records.set(name, "1");
  await world.writer.writeAll();
  await world.start();
  expect(world.state()).toBe("ready");
  expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
  return world;
}

const worlds: World[] = [];
const keep = <W extends World>(world: W): W => {
  worlds.push(world);
  return world;
};
beforeEach(() => {
  worlds.length = 0;
});
afterEach(async () => {
  for (const world of worlds) await world.stop();
});

describe("ClusterSession before it is ready", () => {
  test("waits for the config, then for the canary, then has everything", async () => {
    const { writer, session, table } = await started();
    expect(session.status().state).toEqual({ kind: "syncing", waitingFor: writer.configKey });
    await writer.put("a", "1");
    await writer.commit({
      kind: "put",
      key: writer.configKey,
      value: Buffer.from(writer.config()),
    });
    expect(session.status().state).toEqual({ kind: "syncing", waitingFor: writer.canaryKey });
    expect(table.synced).toBe(false);
    await writer.writeAll();
    expect(session.status().state).toEqual({ kind: "ready" });
    expect(table.synced).toBe(true);
    expect(session.states.get("east")).toEqual({ kind: "ready" });
  });

  test("says that it is not connected, and connects by itself", async () => {
    const world = keep(new World());
    world.store.disconnect();
    await world.start();
    expect(world.state()).toBe("connecting");
    await world.writer.writeAll();
    world.store.reconnect();
    await world.clock.settle();
    expect(world.state()).toBe("ready");
  });

  test("does not wait for a kind that older members do not have, and reads it when it comes", async () => {
    const world = keep(new World({ optionalKind: true }));
    world.writer.records.set("a", "1");
    await world.writer.writeAll();
    await world.start();
    expect(world.state()).toBe("ready");
    expect(world.optional.synced).toBe(false);
    await world.writer.commit({ kind: "put", key: "optional/x", value: Buffer.from("1") });
    await world.clock.settle();
    expect([world.optional.synced, world.optional.size]).toEqual([false, 0]);
    await world.writer.commit({ kind: "put", key: OPTIONAL_CANARY, value: Buffer.from("now") });
    await world.clock.settle();
    expect([world.optional.synced, world.optional.get("x")]).toEqual([true, "1"]);
    expect(world.state()).toBe("ready");
  });

  test("refuses another id than the expected one and reads nothing of it", async () => {
    const world = keep(new World({ expectedId: 7 }));
    world.writer.records.set("a", "1");
    await world.writer.writeAll();
    await world.start();
    const { state } = world.session.status();
    expect(state.kind === "connecting" && state.lastError?.message).toMatch(/its id is 1, want 7/);
    expect(world.table.size).toBe(0);
  });

  async function started(): Promise<World> {
    const world = keep(new World());
    await world.start();
    return world;
  }
});

describe("ClusterSession and deletions", () => {
  test("believes a deletion right after the first contact, before any heartbeat", async () => {
    const world = keep(await readyWorld());
    expect(world.session.status().lastHeartbeatMs).toBeUndefined();
    await world.writer.delete("a");
    expect(world.rows()).toEqual({ b: "1", c: "1" });
  });

  test("believes deletions as long as beats come", async () => {
    const world = keep(await readyWorld());
    await world.writer.pass(20 * MINUTE_MS);
    await world.writer.delete("a");
    expect(world.rows()).toEqual({ b: "1", c: "1" });
    expect(world.state()).toBe("ready");
  });

  test("holds a deletion while the writer is silent, and settles it at the next beat", async () => {
    const world = keep(await readyWorld());
    world.writer.die();
    await world.writer.pass(3 * MINUTE_MS);
    expect(world.session.status().state).toEqual({
      kind: "stale",
      reason: "no heartbeat of its writer",
    });
    await world.writer.delete("a");
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
    await world.writer.beat();
    expect(world.rows()).toEqual({ b: "1", c: "1" });
    expect(world.state()).toBe("ready");
  });

  test("keeps everything when the leases of a dead writer run out", async () => {
    const world = keep(await readyWorld());
    world.writer.die();
    await world.writer.pass(30 * MINUTE_MS);
    expect(world.etcd.entries({ prefix: "", maxKeys: 100 })).toEqual([]);
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
    expect(world.state()).toBe("stale");
    world.writer.records.delete("b");
    await world.writer.revive();
    await world.writer.pass(MINUTE_MS);
    expect(world.rows()).toEqual({ a: "1", c: "1" });
    expect(world.state()).toBe("ready");
  });

  test("takes no beat for live that was written while nobody listened", async () => {
    const world = keep(await readyWorld());
    await world.writer.pass(MINUTE_MS);
    world.store.disconnect();
    await world.writer.pass(10 * MINUTE_MS); // Beats all the time.
    world.writer.die();
    await world.writer.pass(20 * MINUTE_MS); // Its leases run out.
    world.store.reconnect();
    await world.clock.settle();
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
    expect(world.state()).toBe("stale");
  });

  test("applies what it missed in a short interruption at once", async () => {
    const world = keep(await readyWorld());
    await world.writer.pass(5 * MINUTE_MS);
    world.store.disconnect();
    await world.writer.delete("a");
    await world.writer.put("d", "1");
    await world.clock.settle();
    expect(world.state()).toBe("stale");
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
    world.store.reconnect();
    await world.clock.settle();
    expect(world.rows()).toEqual({ b: "1", c: "1", d: "1" });
  });

  for (const compacted of [false, true]) {
    test(`applies what it missed in a long interruption at the next beat (compacted: ${compacted})`, async () => {
      const world = keep(await readyWorld());
      world.store.disconnect();
      await world.writer.pass(10 * MINUTE_MS);
      await world.writer.delete("a");
      if (compacted) world.etcd.compact();
      world.store.reconnect();
      await world.clock.settle();
      expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
      await world.writer.pass(INTERVAL_MS);
      expect(world.rows()).toEqual({ b: "1", c: "1" });
    });
  }

  for (const sameId of [false, true]) {
    test(`takes no empty etcd for a mass deletion (same id: ${sameId})`, async () => {
      const world = keep(await readyWorld());
      world.etcd.wipe({ sameId });
      await world.clock.advance(MINUTE_MS);
      expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
      expect(world.state()).toBe("stale");
      world.writer.records.delete("b");
      await world.writer.writeAll(MINUTE_MS);
      expect(world.rows()).toEqual({ a: "1", c: "1" });
      await world.writer.pass(MINUTE_MS);
      expect(world.state()).toBe("ready");
    });
  }

  test("takes nothing for live that waited while the process stood still", async () => {
    const world = keep(await readyWorld());
    await world.writer.pass(MINUTE_MS);
    // Sleepers wake late and at once, as after SIGSTOP and SIGCONT.
    world.writer.die();
    world.store.disconnect();
    const stopped = world.clock.monotonicMs;
    Object.assign(world.clock, { monotonicMs: () => stopped() + 20 * MINUTE_MS });
    await world.clock.advance(INTERVAL_MS / 4);
    world.store.reconnect();
    await world.writer.beat(); // Written before the stop, read after it.
    await world.writer.delete("a");
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
  });
});

describe("ClusterSession and the config", () => {
  test("drains when another id stands under the same name", async () => {
    const world = keep(await readyWorld());
    world.writer.id = 2;
    world.writer.records.clear();
    world.writer.records.set("z", "1");
    await world.writer.commit(
      { kind: "put", key: world.writer.configKey, value: Buffer.from(world.writer.config()) },
      { kind: "put", key: `${world.writer.prefix}z`, value: Buffer.from("1") },
    );
    await world.writer.delete("a");
    await world.writer.delete("b");
    await world.writer.delete("c");
    expect(world.rows()).toEqual({ z: "1" });
    expect(world.session.status().config?.id).toBe(2);
  });

  test("keeps the last good config when it becomes garbage", async () => {
    const world = keep(await readyWorld());
    await world.writer.commit({
      kind: "put",
      key: world.writer.configKey,
      value: Buffer.from("{"),
    });
    expect(world.state()).toBe("ready");
    expect(world.session.status().rejected.get(world.writer.configKey)?.count).toBe(1);
  });

  test("freezes when the config is removed", async () => {
    const world = keep(await readyWorld());
    await world.writer.commit({ kind: "delete", key: world.writer.configKey });
    expect(world.state()).toBe("stale");
    expect(world.table.size).toBe(3);
  });

  test("drains on the removal of the config where that means the end of the cluster", async () => {
    const world = keep(await readyWorld({ drainOnConfigRemoval: true }));
    await world.writer.commit({ kind: "delete", key: world.writer.configKey });
    expect(world.table.size).toBe(0);
    expect(world.session.status().config).toBeUndefined();
    await world.writer.revive();
    expect(world.table.size).toBe(3);
  });

  test("does not take a config that ran out for the end of the cluster", async () => {
    const world = keep(await readyWorld({ drainOnConfigRemoval: true }));
    world.writer.die();
    await world.writer.pass(30 * MINUTE_MS);
    expect(world.table.size).toBe(3);
    await world.writer.revive();
    await world.writer.pass(MINUTE_MS);
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
    expect(world.state()).toBe("ready");
  });

  test("drain() empties the tables", async () => {
    const world = await readyWorld();
    await world.stop();
    world.session.drain();
    expect(world.table.size).toBe(0);
  });
});

describe("ClusterSession and bad records", () => {
  test("drops an invalid record, keeps the last good value, counts and names it", async () => {
    const world = keep(await readyWorld());
    await world.writer.put("a", "bad");
    await world.writer.put("d", "bad");
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
    const rejected = world.session.status().rejected.get(world.writer.prefix);
    expect(rejected?.count).toBe(2);
    expect(rejected?.latest).toEqual(["Cannot read a: it is bad", "Cannot read d: it is bad"]);
    expect(world.state()).toBe("ready");
  });

  test("keeps a bounded number of reasons, whatever a peer sends", async () => {
    const world = keep(await readyWorld());
    for (let i = 0; i < 100; i++) await world.writer.put(`bad-${i}`, "bad");
    const rejected = world.session.status().rejected.get(world.writer.prefix);
    expect(rejected?.count).toBe(100);
    expect(rejected?.latest.length).toBeLessThan(20);
  });

  test("drops a value that is too long", async () => {
    const world = keep(await readyWorld());
    await world.writer.put("a", "x".repeat(101));
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
    expect(world.session.status().rejected.get(world.writer.prefix)?.latest[0]).toMatch(
      /101 bytes, at most 100/,
    );
  });

  test("takes no more records than it may, and the rest when there is room", async () => {
    const world = keep(await readyWorld());
    for (let i = 0; i < MAX_RECORDS; i++) await world.writer.put(`x-${i}`, "1");
    expect(world.table.size).toBe(MAX_RECORDS);
    expect(world.session.status().rejected.get(world.writer.prefix)?.count).toBe(3);
    for (const name of ["a", "b", "c"]) await world.writer.delete(name);
    await world.clock.settle();
    expect(world.rows()).toEqual(Object.fromEntries(world.writer.records));
  });
});

describe("ClusterSession and a flood of records", () => {
  test("keeps the rows that it has when it lists again", async () => {
    const world = keep(await readyWorld());
    // Before the others in key order, so that a list finds them first.
    for (let i = 0; i < 3 * MAX_RECORDS; i++) await world.writer.put(`0-${i}`, "1");
    world.store.disconnect();
    await world.writer.pass(10 * MINUTE_MS);
    world.store.reconnect();
    await world.writer.pass(2 * MINUTE_MS);
    expect(world.rows()).toMatchObject({ a: "1", b: "1", c: "1" });
    expect(world.table.size).toBe(MAX_RECORDS);
    for (let i = 0; i < 3 * MAX_RECORDS; i++) await world.writer.delete(`0-${i}`);
    await world.clock.settle();
    expect(world.rows()).toEqual({ a: "1", b: "1", c: "1" });
  });
});

describe("ClusterSession under faults", () => {
  const name = fc.constantFrom("a", "b", "c", "d", "e");
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("put" as const), name }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), name }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("pass" as const),
        minutes: fc.integer({ min: 0, max: 20 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom("disconnect", "reconnect", "compact", "wipe", "die", "revive"),
      }),
    },
  );

  test("never loses a row that its cluster still exports, and converges", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const world = await readyWorld();
        const { writer, table } = world;
        const ended = new AbortController();
        const lost: string[] = [];
        /** Read once and exported ever since. */
        const owed = new Set(["a", "b", "c"]);
        const feed = (async () => {
          for await (const keys of table.changes(ended.signal))
            for (const key of keys)
              if (table.get(key) === undefined && owed.has(key)) lost.push(key);
        })();
        try {
          for (const action of steps) {
            await perform(world, action, owed);
            for (const [key] of table.entries()) if (writer.records.has(key)) owed.add(key);
            expect(lost).toEqual([]);
            for (const key of owed) expect(table.get(key)).toBeDefined();
          }
          world.store.reconnect();
          await writer.revive();
          await writer.pass(10 * MINUTE_MS);
          expect(world.rows()).toEqual(Object.fromEntries(writer.records));
          expect(world.state()).toBe("ready");
        } finally {
          ended.abort();
          await feed;
          await world.stop();
        }
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});

async function perform(
  world: World,
  action: { do: string; name?: string; minutes?: number },
  owed: Set<string>,
): Promise<void> {
  const { writer, store, etcd } = world;
  switch (action.do) {
    case "put":
      if (writer.alive) await writer.put(action.name ?? "", "2");
      break;
    case "delete":
      if (!writer.alive) break;
      owed.delete(action.name ?? "");
      await writer.delete(action.name ?? "");
      break;
    case "pass":
      await writer.pass((action.minutes ?? 0) * MINUTE_MS);
      break;
    case "disconnect":
      store.disconnect();
      break;
    case "reconnect":
      store.reconnect();
      break;
    case "compact":
      etcd.compact();
      break;
    case "wipe":
      etcd.wipe();
      // A living writer notices and writes everything again, which takes a while.
      if (writer.alive) await writer.writeAll(1_000);
      break;
    case "die":
      if (writer.alive) writer.die();
      break;
    case "revive":
      if (!writer.alive) await writer.revive();
      break;
  }
  await world.clock.settle();
}
