// What every store must do, whatever it stands on: a function that declares the tests, called
// once for each implementation. Faults are the setup's business: each knows how to cause them.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { StoreOperation, WatchEvent, WritableStore } from "../../mesh/kvstore/store.ts";
import { eventually } from "../fakes/eventually.ts";

export interface StoreSetup {
  /** Another store on the same contents. */
  open(): WritableStore & { close(): void };
  /** No store of this setup reaches its contents until `reconnect`. */
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
  /** Forgets history. */
  compact(): Promise<void>;
  /** Another, empty one in its place. */
  wipe(): Promise<void>;
  close(): Promise<void>;
}

const PREFIX = "contract/";

export function describeStore(name: string, open: () => Promise<StoreSetup>): void {
  describe(`${name} as a store`, () => {
    let setup: StoreSetup;
    let store: ReturnType<StoreSetup["open"]>;
    let end: AbortController;
    let watches: Promise<void>[];

    beforeEach(async () => {
      setup = await open();
      store = setup.open();
      end = new AbortController();
      watches = [];
    });

    afterEach(async () => {
      end.abort();
      await Promise.allSettled(watches);
      store.close();
      await setup.close();
    });

    /** A watch that is read all the time; `contents` is what its events add up to. */
    function follow(prefix = PREFIX, maxKeys = 100_000): Follower {
      const follower = new Follower();
      const run = follower.run(store.watch({ prefix, maxKeys }, end.signal));
      watches.push(run);
      run.catch(() => {}); // Tests look at `follower.error`.
      return follower;
    }

    const write = (entries: Record<string, string>): Promise<bigint> =>
      store.commit(
        Object.entries(entries).map(([key, value]) => put(key, value)),
        end.signal,
      );
    const remove = (...names: string[]): Promise<bigint> =>
      store.commit(
        names.map((key) => ({ kind: "delete", key: PREFIX + key })),
        end.signal,
      );

    test("get() finds what commit() wrote, and nothing else", async () => {
      await write({ a: "1" });
      const entry = await store.get(`${PREFIX}a`, end.signal);
      expect(entry?.value.toString()).toBe("1");
      expect(entry?.revision).toBeGreaterThan(0n);
      expect(await store.get(PREFIX, end.signal)).toBeUndefined();
    });

    test("commit() resolves with growing revisions", async () => {
      const first = await write({ a: "1" });
      expect(await write({ a: "2" })).toBeGreaterThan(first);
    });

    test("commit() takes more operations than one transaction may hold", async () => {
      const names = Array.from({ length: 1_000 }, (_, i) => `k${String(i).padStart(4, "0")}`);
      await write(Object.fromEntries(names.map((name) => [name, name])));
      expect(await listed()).toEqual(names.map((name) => PREFIX + name));
    });

    test("list() yields all keys below a prefix, in order, and no others", async () => {
      await write({ b: "1", a: "1", "a/b": "1" });
      await store.commit([{ kind: "put", key: "contract0", value: Buffer.alloc(0) }], end.signal);
      expect(await listed()).toEqual(["a", "a/b", "b"].map((name) => PREFIX + name));
    });

    test("deletePrefix() deletes what is below, and nothing else", async () => {
      await write({ "x/a": "1", "x/b": "1", y: "1" });
      await store.deletePrefix(`${PREFIX}x/`, end.signal);
      expect(await listed()).toEqual([`${PREFIX}y`]);
    });

    test("watch() yields the contents, `synced` once, then every change", async () => {
      await write({ a: "1", b: "1" });
      const follower = follow();
      await eventually(() => follower.synced);
      expect(follower.contents()).toEqual({ a: "1", b: "1" });
      await write({ a: "2", c: "1" });
      await remove("b");
      await eventually(() => follower.has({ a: "2", c: "1" }));
      expect(follower.kinds().filter((kind) => kind === "synced")).toHaveLength(1);
    });

    test("watch() of an empty prefix is synced at once", async () => {
      const follower = follow();
      await eventually(() => follower.synced);
      expect(follower.contents()).toEqual({});
    });

    test("watch() of an exact key tells of no other", async () => {
      await write({ a: "1", ab: "1" });
      const follower = new Follower();
      const target = { prefix: `${PREFIX}a`, maxKeys: 10, exact: true };
      const run = follower.run(store.watch(target, end.signal));
      watches.push(run);
      await eventually(() => follower.synced);
      await write({ ab: "2", a: "2" });
      await eventually(() => follower.contents()["a"] === "2");
      expect(follower.contents()).toEqual({ a: "2" });
    });

    test("watch() ends when its signal aborts", async () => {
      const own = new AbortController();
      const follower = new Follower();
      const run = follower.run(store.watch(PREFIX, own.signal));
      await eventually(() => follower.synced);
      own.abort();
      await run;
    });

    test("watch() remembers no more keys than it may and names the refused", async () => {
      await write({ a: "1", b: "1", c: "1" });
      const follower = follow(PREFIX, 2);
      await eventually(() => follower.synced);
      expect(Object.keys(follower.contents())).toHaveLength(2);
      expect(follower.kinds()).toContain("refused");
      await write({ d: "1", a: "2" });
      await eventually(() => follower.contents()["a"] === "2");
      expect(Object.keys(follower.contents())).toHaveLength(2);
    });

    test("watch() keeps the keys it has told of when a list finds too many", async () => {
      await write({ m: "1", n: "1" });
      const follower = follow(PREFIX, 2);
      await eventually(() => follower.synced);
      await write({ a: "1", b: "1" });
      await setup.disconnect();
      await eventually(() => follower.kinds().includes("disconnected"));
      await setup.compact();
      await setup.reconnect();
      await eventually(() => write({ m: "2" }));
      await eventually(() => follower.contents()["m"] === "2");
      expect(follower.contents()).toEqual({ m: "2", n: "1" });
    });

    test("watch() resumes after an interruption, with what it missed, and says so", async () => {
      const other = setup.open();
      await write({ a: "1", b: "1" });
      const follower = follow();
      await eventually(() => follower.synced);
      await setup.disconnect();
      await eventually(() => follower.kinds().includes("disconnected"));
      await setup.reconnect();
      await eventually(() => other.commit([put("a", "2"), drop("b")], end.signal));
      await eventually(() => follower.has({ a: "2" }));
      const kinds = follower.kinds();
      expect(kinds.indexOf("resumed")).toBeGreaterThan(kinds.indexOf("disconnected"));
      expect(kinds.filter((kind) => kind === "synced")).toHaveLength(1);
      other.close();
    });

    test("watch() delivers the difference when history is gone", async () => {
      await write({ a: "1", b: "1", c: "1" });
      const follower = follow();
      await eventually(() => follower.synced);
      await setup.disconnect();
      await eventually(() => follower.kinds().includes("disconnected"));
      await setup.compact();
      await setup.reconnect();
      await eventually(() => write({ a: "2", d: "1" }));
      await eventually(() => remove("b"));
      await eventually(() => follower.has({ a: "2", c: "1", d: "1" }));
      // What had not changed is not told again.
      const told = follower.events.filter((event) => "key" in event && event.key === `${PREFIX}c`);
      expect(told).toHaveLength(1);
    });

    test("watch() rejects with cluster_changed when another etcd answers", async () => {
      await write({ a: "1", b: "1" });
      await write({ a: "2" });
      const follower = follow();
      await eventually(() => follower.synced);
      await setup.wipe();
      const error = await eventually(() => follower.error);
      expect(isMeshError(error, "cluster_changed")).toBe(true);
      expect(follower.contents()).toEqual({ a: "2", b: "1" });
      const next = follow();
      await eventually(() => next.synced);
      expect(next.contents()).toEqual({});
    });

    test("calls reject with `aborted` when their signal is", async () => {
      const aborted = AbortSignal.abort();
      const outcomes = await Promise.allSettled([
        store.get("a", aborted),
        store.commit([put("a", "1")], aborted),
        store.deletePrefix("a", aborted),
      ]);
      for (const outcome of outcomes)
        expect(outcome.status === "rejected" && isMeshError(outcome.reason, "aborted")).toBe(true);
    });

    async function listed(): Promise<string[]> {
      const keys: string[] = [];
      for await (const page of store.list(PREFIX, end.signal))
        keys.push(...page.map(({ key }) => key));
      return keys;
    }
  });
}

const put = (name: string, value: string): StoreOperation => ({
  kind: "put",
  key: PREFIX + name,
  value: Buffer.from(value),
});
const drop = (name: string): StoreOperation => ({ kind: "delete", key: PREFIX + name });

class Follower {
  readonly events: WatchEvent[] = [];
  synced = false;
  error: unknown;

  async run(batches: AsyncIterable<readonly WatchEvent[]>): Promise<void> {
    try {
      for await (const batch of batches) {
        this.events.push(...batch);
        if (batch.some(({ kind }) => kind === "synced")) this.synced = true;
      }
    } catch (error) {
      this.error = error;
      throw error;
    }
  }

  contents(): Record<string, string> {
    const contents: Record<string, string> = {};
    for (const event of this.events) {
      if (event.kind === "put") contents[event.key.slice(PREFIX.length)] = event.value.toString();
      else if (event.kind === "delete") delete contents[event.key.slice(PREFIX.length)];
    }
    return contents;
  }

  has(wanted: Record<string, string>): boolean {
    const contents = new Map(Object.entries(this.contents()));
    const entries = Object.entries(wanted);
    return (
      contents.size === entries.length &&
      entries.every(([name, value]) => contents.get(name) === value)
    );
  }

  kinds(): string[] {
    return this.events.map(({ kind }) => kind);
  }
}
