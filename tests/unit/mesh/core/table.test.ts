import { describe, expect, test } from "@jest/globals";
import { createTable, tableSynced } from "../../../../mesh/core/table.ts";

/** Reads a feed in the background. */
function follow(feed: AsyncIterable<Iterable<string>>): {
  batches: string[][];
  ended: Promise<void>;
} {
  const batches: string[][] = [];
  const ended = (async () => {
    for await (const keys of feed) batches.push([...keys]);
  })();
  return { batches, ended };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("createTable()", () => {
  test("put() and delete() say whether anything changed", () => {
    const table = createTable<number>({ name: "t" });
    expect(table.put("a", 1)).toBe(true);
    expect(table.put("a", 1)).toBe(false);
    expect(table.put("a", 2)).toBe(true);
    expect(table.delete("a")).toBe(true);
    expect(table.delete("a")).toBe(false);
    expect(table.size).toBe(0);
  });

  test("put() keeps the old row when the new one is equal", () => {
    const table = createTable<{ n: number }>({ name: "t", equals: (a, b) => a.n === b.n });
    const first = { n: 1 };
    table.put("a", first);
    expect(table.put("a", { n: 1 })).toBe(false);
    expect(table.get("a")).toBe(first);
  });

  test("entries() holds every row", () => {
    const table = createTable<number>({ name: "t" });
    table.put("a", 1);
    table.put("b", 2);
    expect([...table.entries()]).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  test("changes() begins with every key there is, also when there is none", async () => {
    const controller = new AbortController();
    const empty = follow(createTable({ name: "t" }).changes(controller.signal));
    const table = createTable<number>({ name: "t" });
    table.put("a", 1);
    table.put("b", 1);
    const filled = follow(table.changes(controller.signal));
    await settle();
    expect(empty.batches).toEqual([[]]);
    expect(filled.batches).toEqual([["a", "b"]]);
    controller.abort();
    await Promise.all([empty.ended, filled.ended]);
  });

  test("changes() merges what a slow reader has not looked at", async () => {
    const controller = new AbortController();
    const table = createTable<number>({ name: "t" });
    const feed = table.changes(controller.signal)[Symbol.asyncIterator]();
    await feed.next();
    for (let i = 0; i < 1_000; i++) table.put("a", i);
    table.put("b", 1);
    table.delete("b");
    const { value } = await feed.next();
    expect([...(value as Iterable<string>)]).toEqual(["a", "b"]);
    controller.abort();
    expect((await feed.next()).done).toBe(true);
  });

  test("changes() of several readers do not take from each other", async () => {
    const controller = new AbortController();
    const table = createTable<number>({ name: "t" });
    const first = follow(table.changes(controller.signal));
    const second = follow(table.changes(controller.signal));
    await settle();
    table.put("a", 1);
    await settle();
    expect(first.batches).toEqual([[], ["a"]]);
    expect(second.batches).toEqual([[], ["a"]]);
    controller.abort();
    await Promise.all([first.ended, second.ended]);
  });

  test("markSynced() wakes readers once", async () => {
    const controller = new AbortController();
    const table = createTable<number>({ name: "t" });
    const { batches, ended } = follow(table.changes(controller.signal));
    await settle();
    table.markSynced();
    table.markSynced();
    await settle();
    expect(table.synced).toBe(true);
    expect(batches).toEqual([[], []]);
    controller.abort();
    await ended;
  });

  test("changes() ends when the signal aborts, before and while it waits", async () => {
    const table = createTable<number>({ name: "t" });
    table.put("a", 1);
    const before = follow(table.changes(AbortSignal.abort()));
    await before.ended;
    expect(before.batches).toEqual([]);
    const controller = new AbortController();
    const during = follow(table.changes(controller.signal));
    await settle();
    controller.abort();
    await during.ended;
    expect(during.batches).toEqual([["a"]]);
  });
});

describe("tableSynced()", () => {
  test("waits for the mark, not for rows", async () => {
    const table = createTable<number>({ name: "t" });
    let done = false;
    const waiting = tableSynced(table, new AbortController().signal).then(() => (done = true));
    table.put("a", 1);
    await settle();
    expect(done).toBe(false);
    table.markSynced();
    await waiting;
  });

  test("resolves at once for a synced table, and when the signal aborts", async () => {
    const table = createTable<number>({ name: "t" });
    const controller = new AbortController();
    const waiting = tableSynced(table, controller.signal);
    controller.abort();
    await waiting;
    table.markSynced();
    await tableSynced(table, new AbortController().signal);
  });
});
