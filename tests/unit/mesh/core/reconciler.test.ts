// The reconciler against a target in memory that fails when a test says so, on a fake clock.
import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger, type LogFields, type Logger } from "../../../../mesh/core/logger.ts";
import {
  createReconciler,
  type KeyedRow,
  type Operations,
  type Reconciler,
  type UpdateRow,
} from "../../../../mesh/core/reconciler.ts";
import { createTable, type WritableTable } from "../../../../mesh/core/table.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

interface Setup {
  readonly table: WritableTable<number>;
  readonly target: Map<string, number>;
  readonly updates: UpdateRow<number>[];
  readonly deletes: KeyedRow<number>[];
  readonly prunes: string[][];
  /** Keys that fail until they are taken out; "prune" fails the pruning. */
  readonly broken: Set<string>;
  readonly warnings: LogFields[];
  readonly clock: FakeClock;
  readonly reconciler: Reconciler;
  /** Ends the reconciler and waits for its end. */
  readonly stop: () => Promise<void>;
}

function start(): Setup {
  const table = createTable<number>({ name: "numbers" });
  const target = new Map<string, number>();
  const broken = new Set<string>();
  const updates: UpdateRow<number>[] = [];
  const deletes: KeyedRow<number>[] = [];
  const prunes: string[][] = [];
  const warnings: LogFields[] = [];
  const failures = (rows: readonly KeyedRow<number>[]): Map<string, Error> =>
    new Map(
      rows
        .filter(({ key }) => broken.has(key))
        .map(({ key }) => [key, new MeshError("unavailable", `no ${key}`)]),
    );
  const operations: Operations<number> = {
    update: (rows) => {
      updates.push(...rows);
      if (broken.has("everything")) return Promise.reject(new Error("target is away"));
      for (const { key, row } of rows) if (!broken.has(key)) target.set(key, row);
      return Promise.resolve(failures(rows));
    },
    delete: (rows) => {
      deletes.push(...rows);
      for (const { key } of rows) if (!broken.has(key)) target.delete(key);
      return Promise.resolve(failures(rows));
    },
    prune: (desired) => {
      prunes.push([...target.keys()].sort());
      if (broken.has("prune")) return Promise.reject(new Error("cannot list"));
      for (const key of target.keys()) if (desired.get(key) === undefined) target.delete(key);
      return Promise.resolve();
    },
  };
  const log: Logger = {
    ...silentLogger,
    warn: (_message, fields = {}) => void warnings.push(fields),
  };
  const clock = createFakeClock();
  const reconciler = createReconciler({
    desired: table,
    operations,
    clock,
    random: () => 0.5,
    log,
  });
  const controller = new AbortController();
  const running = reconciler.run(controller.signal);
  const stop = async (): Promise<void> => {
    controller.abort();
    await running;
  };
  return {
    table,
    target,
    updates,
    deletes,
    prunes,
    broken,
    warnings,
    clock,
    reconciler,
    stop,
  };
}

describe("createReconciler()", () => {
  test("applies rows, changes and deletions", async () => {
    const { table, target, clock, reconciler, stop } = start();
    table.put("a", 1);
    table.put("b", 2);
    await clock.settle();
    expect([...target]).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    table.put("a", 3);
    table.delete("b");
    await clock.settle();
    expect([...target]).toEqual([["a", 3]]);
    expect(reconciler.status()).toEqual({
      name: "numbers",
      applied: 1,
      failed: new Map(),
      pruned: false,
    });
    await stop();
  });

  test("hands an update the row that was applied before", async () => {
    const { table, updates, clock, stop } = start();
    table.put("a", 1);
    await clock.settle();
    table.put("a", 2);
    await clock.settle();
    expect(updates).toEqual([
      { key: "a", row: 1, previous: undefined },
      { key: "a", row: 2, previous: 1 },
    ]);
    await stop();
  });

  test("does nothing while nothing changes", async () => {
    const { table, updates, clock, stop } = start();
    table.put("a", 1);
    table.markSynced();
    await clock.advance(60_000);
    expect(updates).toHaveLength(1);
    expect(clock.sleepers).toBe(0);
    await stop();
  });

  test("retries a failed row with back-off and leaves its neighbours alone", async () => {
    const { table, target, updates, broken, clock, reconciler, stop } = start();
    broken.add("bad");
    table.put("bad", 1);
    table.put("good", 2);
    await clock.settle();
    expect([...target]).toEqual([["good", 2]]);
    expect([...reconciler.status().failed.keys()]).toEqual(["bad"]);
    await clock.advance(10_000);
    const attempts = updates.filter(({ key }) => key === "bad").length;
    // 50 ms doubled each time: some 8 attempts in 10 s, not the 200 of a fixed 50 ms.
    expect(attempts).toBeGreaterThan(4);
    expect(attempts).toBeLessThan(12);
    expect(updates.filter(({ key }) => key === "good")).toHaveLength(1);
    broken.clear();
    await clock.advance(30_000);
    expect(target.get("bad")).toBe(1);
    expect(reconciler.status().failed.size).toBe(0);
    await stop();
  });

  test("retries at once when a failed row changes", async () => {
    const { table, target, broken, clock, stop } = start();
    broken.add("a");
    table.put("a", 1);
    await clock.advance(20_000);
    broken.clear();
    table.put("a", 2);
    await clock.settle();
    expect(target.get("a")).toBe(2);
    await stop();
  });

  test("counts every row of a call that throws as failed", async () => {
    const { table, target, broken, clock, reconciler, stop } = start();
    broken.add("everything");
    table.put("a", 1);
    table.put("b", 2);
    await clock.settle();
    expect([...reconciler.status().failed.keys()]).toEqual(["a", "b"]);
    broken.clear();
    await clock.advance(1_000);
    expect(target.size).toBe(2);
    await stop();
  });

  test("reports the failures of a call in one line", async () => {
    const { table, broken, warnings, clock, stop } = start();
    broken.add("everything");
    for (let i = 0; i < 500; i++) table.put(`row-${i}`, i);
    await clock.settle();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ table: "numbers", rows: 500 });
    await stop();
  });

  test("hands a retry the row before the failed one", async () => {
    const { table, updates, broken, clock, stop } = start();
    table.put("a", 1);
    await clock.settle();
    broken.add("a");
    table.put("a", 2);
    await clock.settle();
    broken.clear();
    await clock.advance(1_000);
    expect(updates.slice(1)).toEqual([
      { key: "a", row: 2, previous: 1 },
      { key: "a", row: 2, previous: 1 },
    ]);
    await stop();
  });

  test("deletes what a failed update may have left, and the row before it", async () => {
    const { table, deletes, broken, clock, reconciler, stop } = start();
    table.put("a", 1);
    await clock.settle();
    broken.add("a");
    table.put("a", 2);
    await clock.settle();
    table.delete("a");
    await clock.settle();
    broken.clear();
    await clock.advance(1_000);
    expect(new Set(deletes.map(({ row }) => row))).toEqual(new Set([1, 2]));
    expect(reconciler.status()).toMatchObject({ applied: 0, failed: new Map() });
    const before = deletes.length;
    await clock.advance(60_000);
    expect(deletes).toHaveLength(before);
    await stop();
  });

  test("deletes a row whose only update failed", async () => {
    const { table, deletes, broken, clock, reconciler, stop } = start();
    broken.add("a");
    table.put("a", 1);
    await clock.settle();
    broken.clear();
    table.delete("a");
    await clock.settle();
    expect(deletes).toEqual([{ key: "a", row: 1 }]);
    expect(reconciler.status().failed.size).toBe(0);
    await stop();
  });

  test("retries a failed deletion until the row is gone", async () => {
    const { table, target, broken, clock, reconciler, stop } = start();
    table.put("a", 1);
    await clock.settle();
    broken.add("a");
    table.delete("a");
    await clock.advance(1_000);
    expect(target.has("a")).toBe(true);
    expect(reconciler.status().failed.has("a")).toBe(true);
    broken.clear();
    await clock.advance(30_000);
    expect(target.has("a")).toBe(false);
    expect(reconciler.status().failed.size).toBe(0);
    await stop();
  });

  test("prunes nothing before the table is synced, then once, after its rows", async () => {
    const { table, target, prunes, clock, reconciler, stop } = start();
    target.set("stale", 9);
    table.put("a", 1);
    await clock.advance(60_000);
    expect(prunes).toEqual([]);
    expect(target.has("stale")).toBe(true);
    table.put("b", 2);
    table.markSynced();
    await clock.advance(60_000);
    expect(prunes).toEqual([["a", "b", "stale"]]);
    expect(target.has("stale")).toBe(false);
    expect(reconciler.status().pruned).toBe(true);
    await stop();
  });

  test("retries a failed prune with back-off", async () => {
    const { table, prunes, broken, warnings, clock, reconciler, stop } = start();
    broken.add("prune");
    table.markSynced();
    await clock.advance(10_000);
    expect(prunes.length).toBeGreaterThan(4);
    expect(prunes.length).toBeLessThan(12);
    expect(warnings).toHaveLength(prunes.length);
    expect(reconciler.status().pruned).toBe(false);
    broken.clear();
    await clock.advance(30_000);
    expect(reconciler.status().pruned).toBe(true);
    await stop();
  });

  test("pruneAgain() prunes once more, also when it is called in the middle of a prune", async () => {
    const { table, prunes, clock, reconciler, stop } = start();
    table.markSynced();
    await clock.settle();
    reconciler.pruneAgain();
    await clock.advance(60_000);
    expect(prunes).toHaveLength(2);
    expect(reconciler.status().pruned).toBe(true);
    await stop();

    let calls = 0;
    const again = createReconciler<number>({
      desired: table,
      operations: {
        update: () => Promise.resolve(new Map()),
        delete: () => Promise.resolve(new Map()),
        prune: () => {
          if (++calls === 1) again.pruneAgain();
          return Promise.resolve();
        },
      },
      clock,
      random: () => 0,
      log: silentLogger,
    });
    const controller = new AbortController();
    const running = again.run(controller.signal);
    await clock.advance(60_000);
    expect(calls).toBe(2);
    controller.abort();
    await running;
  });

  test("reapply() writes rows again that the target lost", async () => {
    const { table, target, updates, clock, reconciler, stop } = start();
    table.put("a", 1);
    table.put("b", 2);
    await clock.settle();
    target.clear();
    reconciler.reapply(["a", "gone"]);
    await clock.advance(1_000);
    expect([...target]).toEqual([["a", 1]]);
    expect(updates).toHaveLength(3);
    await stop();
  });

  test("hands the target at most 1,024 rows in a call, and others have a turn in between", async () => {
    const table = createTable<number>({ name: "many" });
    for (let i = 0; i < 3_000; i++) table.put(String(i), i);
    const sizes: number[] = [];
    const turns = new Set<number>();
    let turn = 0;
    const clock = createFakeClock();
    const reconciler = createReconciler({
      desired: table,
      operations: {
        update: (rows) => {
          sizes.push(rows.length);
          turns.add(turn);
          setImmediate(() => turn++);
          return Promise.resolve(new Map());
        },
        delete: () => Promise.resolve(new Map()),
        prune: () => Promise.resolve(),
      },
      clock,
      random: () => 0,
      log: silentLogger,
    });
    const controller = new AbortController();
    const running = reconciler.run(controller.signal);
    await clock.settle();
    expect(sizes).toEqual([1_024, 1_024, 952]);
    expect(turns.size).toBe(3);
    controller.abort();
    await running;
  });

  test("run() ends when the signal aborts, also in the middle of a call, and says nothing", async () => {
    const table = createTable<number>({ name: "stuck" });
    table.put("a", 1);
    const warnings: string[] = [];
    const reconciler = createReconciler({
      desired: table,
      operations: {
        update: (_rows, signal) =>
          new Promise((_resolve, reject) =>
            signal.addEventListener("abort", () => reject(new MeshError("aborted", "cut off"))),
          ),
        delete: () => Promise.resolve(new Map()),
        prune: () => Promise.resolve(),
      },
      clock: createFakeClock(),
      random: () => 0,
      log: { ...silentLogger, warn: (message) => void warnings.push(message) },
    });
    const controller = new AbortController();
    const running = reconciler.run(controller.signal);
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await running;
    expect(warnings).toEqual([]);
  });
});
