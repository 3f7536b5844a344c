// A table on its way into a store.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import {
  createStoreOperations,
  runReapplyLost,
} from "../../../../mesh/kvstore/store-operations.ts";
import { eventually } from "../../../fakes/eventually.ts";

const PREFIX = "mine/";
const CANARY = "cilium/synced/east/x";
const signal = new AbortController().signal;

describe("createStoreOperations()", () => {
  let etcd: MemoryEtcd;
  let store: MemoryStore;
  beforeEach(() => {
    etcd = new MemoryEtcd();
    store = createMemoryStore(etcd);
  });
  afterEach(() => store.close());

  const operations = (): ReturnType<typeof createStoreOperations> =>
    createStoreOperations({ store, prefix: PREFIX });
  const row = (key: string, value = "1"): { key: string; row: Buffer; previous: undefined } => ({
    key,
    row: Buffer.from(value),
    previous: undefined,
  });
  const keys = (): string[] => etcd.entries({ prefix: "", maxKeys: 100 }).map(({ key }) => key);

  test("update() puts and delete() deletes, both again and again", async () => {
    for (let i = 0; i < 2; i++)
      expect(await operations().update([row("mine/a"), row("mine/b")], signal)).toEqual(new Map());
    expect(keys()).toEqual(["mine/a", "mine/b"]);
    for (let i = 0; i < 2; i++) await operations().delete([row("mine/a")], signal);
    expect(keys()).toEqual(["mine/b"]);
  });

  test("update() fails a row that is too large, and no other", async () => {
    const failures = await operations().update(
      [row("mine/a", "x".repeat(2_000_000)), row("mine/b")],
      signal,
    );
    expect([...failures.keys()]).toEqual(["mine/a"]);
    expect(isMeshError(failures.get("mine/a"), "invalid_argument")).toBe(true);
    expect(keys()).toEqual(["mine/b"]);
  });

  test("update() writes no canary while keys behind it are lost", async () => {
    await operations().update([row("mine/a"), row(CANARY)], signal);
    store.expireLeases();
    const failures = await operations().update([row(CANARY)], signal);
    expect(isMeshError(failures.get(CANARY), "unavailable")).toBe(true);
    await operations().update([row("mine/a")], signal);
    expect(await operations().update([row(CANARY)], signal)).toEqual(new Map());
    expect(keys()).toEqual([CANARY, "mine/a"]);
  });

  test("prune() removes what is not desired, below its prefix only", async () => {
    await operations().update(
      ["mine/a", "mine/b", "other/c"].map((key) => row(key)),
      signal,
    );
    const desired = createTable<Buffer>({ name: "desired" });
    desired.put("mine/b", Buffer.from("1"));
    await operations().prune(desired, signal);
    expect(keys()).toEqual(["mine/b", "other/c"]);
  });

  test("runReapplyLost() hands lost keys to the reconciler", async () => {
    await operations().update([row("mine/a"), row("mine/b")], signal);
    const reapplied: string[] = [];
    const end = new AbortController();
    const running = runReapplyLost(
      { store, reconciler: { reapply: (lost) => reapplied.push(...lost) } },
      end.signal,
    );
    store.expireLeases(["mine/b"]);
    await eventually(() => reapplied.includes("mine/b"));
    expect(reapplied).not.toContain("mine/a");
    end.abort();
    await running;
  });
});
