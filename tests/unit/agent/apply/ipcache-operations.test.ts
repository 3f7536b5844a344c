import { describe, expect, test } from "@jest/globals";
import { createTable } from "../../../../mesh/core/table.ts";
import { ipcacheMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createIpcacheOperations } from "../../../../agent/apply/ipcache-operations.ts";
import { ipcacheMapFromDatapath } from "../../../../agent/apply/map-adapters.ts";
import type { IpcacheRow } from "../../../../agent/plan/plan-ipcache.ts";

const never = new AbortController().signal;

function row(last: number, clusterId = 1): IpcacheRow {
  return {
    prefix: `10.${clusterId}.0.${last}/32`,
    identity: 300,
    tunnelEndpoint: "172.16.0.1",
    clusterId,
    encryptionKey: 0,
  };
}

const updates = (rows: readonly IpcacheRow[]) =>
  rows.map((item) => ({ key: item.prefix, row: item, previous: undefined }));

function create(kernel = createMemoryMap(ipcacheMap), settledClusters: readonly number[] = [1, 2]) {
  const map = ipcacheMapFromDatapath(kernel);
  const settlement = {
    mayPrune: (clusterId: number) => settledClusters.includes(clusterId),
    mayPruneAll: () => false,
    unsettled: () => [],
    changed: createTable<number>({ name: "settlement" }),
  };
  const prefixes = (): string[] => [...map.entries()].map(({ prefix }) => prefix).sort();
  return { kernel, prefixes, operations: createIpcacheOperations({ map, settlement }) };
}

describe("createIpcacheOperations()", () => {
  test("writes a batch of rows in one call", async () => {
    const { kernel, prefixes, operations } = create();
    await operations.update(updates([row(1), row(2)]), never);
    expect(prefixes()).toEqual(["10.1.0.1/32", "10.1.0.2/32"]);
    expect(kernel.writes).toBe(1);
  });

  test("adopts: what is right is not written, what differs is", async () => {
    const { kernel, operations } = create();
    await operations.update(updates([row(1), row(2)]), never);
    const before = kernel.writes;
    await create(kernel).operations.update(updates([row(1), row(2)]), never);
    expect(kernel.writes).toBe(before);
    await create(kernel).operations.update(updates([{ ...row(1), identity: 301 }, row(2)]), never);
    expect(kernel.writes).toBe(before + 1);
  });

  test("writes again what it is asked to write again", async () => {
    const { kernel, operations } = create();
    await operations.update(updates([row(1)]), never);
    kernel.deleteBatch([...kernel.entries()].map(([key]) => key));
    await operations.update(updates([row(1)]), never);
    expect([...kernel.entries()].length).toBe(1);
  });

  test("prune() removes leftovers of settled clusters, and the others' when those settle", async () => {
    const { kernel, operations } = create();
    await operations.update(updates([row(1), row(2), row(1, 2)]), never);
    const settled = [1];
    const second = create(kernel, settled);
    const desired = createTable<IpcacheRow>({ name: "ipcache" });
    desired.put(row(1).prefix, row(1));
    await second.operations.prune(desired, never);
    expect(second.prefixes()).toEqual(["10.1.0.1/32", "10.2.0.1/32"]);
    settled.push(2);
    await second.operations.prune(desired, never);
    expect(second.prefixes()).toEqual(["10.1.0.1/32"]);
  });

  test("delete() removes, and takes what is not there for removed", async () => {
    const { prefixes, operations } = create();
    await operations.update(updates([row(1)]), never);
    const rows = [row(1), row(9)].map((item) => ({ key: item.prefix, row: item }));
    expect((await operations.delete(rows, never)).size).toBe(0);
    expect(prefixes()).toEqual([]);
  });

  test("refuses rows beyond what the map holds, one by one", async () => {
    const { operations, prefixes } = create(createMemoryMap(ipcacheMap, { maxEntries: 1 }));
    const failures = await operations.update(updates([row(1), row(2)]), never);
    expect([...failures.keys()]).toEqual(["10.1.0.2/32"]);
    expect(prefixes()).toEqual(["10.1.0.1/32"]);
    await operations.delete([{ key: row(1).prefix, row: row(1) }], never);
    expect((await operations.update(updates([row(2)]), never)).size).toBe(0);
  });

  test("keeps what belongs to no cluster until all prefixes of policies are known", async () => {
    const { kernel, prefixes, operations } = create();
    await operations.update(updates([row(1, 0)]), never);
    const desired = createTable<IpcacheRow>({ name: "ipcache" });
    let isKnown = false;
    const again = createIpcacheOperations({
      map: ipcacheMapFromDatapath(kernel),
      settlement: {
        mayPrune: () => true,
        mayPruneAll: () => true,
        unsettled: () => [],
        changed: createTable<number>({ name: "settlement" }),
      },
      cidrsKnown: () => isKnown,
    });
    await again.prune(desired, never);
    expect(prefixes()).toEqual(["10.0.0.1/32"]);
    isKnown = true;
    await again.prune(desired, never);
    expect(prefixes()).toEqual([]);
  });
});
