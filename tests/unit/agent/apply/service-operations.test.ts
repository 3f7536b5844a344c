import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createTable } from "../../../../mesh/core/table.ts";
import { createServiceTarget } from "../../../../agent/apply/service-operations.ts";
import type { Frontend } from "../../../../agent/plan/plan-service.ts";
import { createWatchedServiceMaps, readAll } from "../../../fakes/service-maps.ts";

const never = new AbortController().signal;

function frontend(port: number, clusters: readonly number[] = [1], backends = 2): Frontend {
  return {
    key: `10.96.0.1:${port}/TCP`,
    service: "shop/cart",
    portName: "http",
    address: "10.96.0.1",
    port,
    protocol: "TCP",
    sessionAffinitySeconds: 0,
    groups: clusters.map((clusterId) => ({
      cluster: `c${clusterId}`,
      clusterId,
      tier: 0,
      weight: backends,
      backends: Array.from({ length: backends }, (_, i) => ({
        address: `10.${clusterId}.${port}.${i + 1}`,
        port: 80,
      })),
    })),
  };
}

function updatesOf(
  rows: readonly Frontend[],
): { key: string; row: Frontend; previous: undefined }[] {
  return rows.map((row) => ({ key: row.key, row, previous: undefined }));
}

function tableOf(rows: readonly Frontend[]) {
  const table = createTable<Frontend>({ name: "frontends" });
  for (const row of rows) table.put(row.key, row);
  return table;
}

describe("createServiceTarget()", () => {
  test("adopts what the maps hold: the same again is no write", async () => {
    const maps = createWatchedServiceMaps(readAll);
    const rows = [frontend(1, [1, 2]), frontend(2, [2])];
    await createServiceTarget(maps).operations.update(updatesOf(rows), never);
    maps.log.length = 0;
    const second = createServiceTarget(maps);
    await second.operations.update(updatesOf(rows), never);
    await second.operations.prune(tableOf(rows), never);
    expect(maps.log).toEqual([]);
  });

  test("tells what the maps held of each cluster", async () => {
    const maps = createWatchedServiceMaps(readAll);
    await createServiceTarget(maps).operations.update(updatesOf([frontend(1, [1, 2], 1)]), never);
    expect([...createServiceTarget(maps).held]).toEqual([
      [
        "10.96.0.1:1/TCP",
        [
          { clusterId: 1, backends: [{ address: "10.1.1.1", port: 80 }] },
          { clusterId: 2, backends: [{ address: "10.2.1.1", port: 80 }] },
        ],
      ],
    ]);
  });

  test("gives ids that nothing in the kernel can remember", async () => {
    const maps = {
      ...createWatchedServiceMaps(() => {}),
      remembered: () => [{ serviceId: 70, backendId: 90 }],
    };
    await createServiceTarget(maps).operations.update(updatesOf([frontend(1, [1], 1)]), never);
    expect([...maps.services.entries()][0]?.[1].serviceId).toBe(71);
    expect([...maps.backends.entries()][0]?.[0]).toBe(91);
  });

  test("prune() removes frontends that are not desired, and nothing else", async () => {
    const maps = createWatchedServiceMaps(readAll);
    const [kept, gone] = [frontend(1), frontend(2)];
    const target = createServiceTarget(maps);
    await target.operations.update(updatesOf([kept, gone]), never);
    await createServiceTarget(maps).operations.prune(tableOf([kept]), never);
    expect([...readAll(maps).keys()]).toEqual([kept.key]);
    expect([...maps.slots.entries()].length).toBe(2);
    expect([...maps.backends.entries()].length).toBe(2);
  });

  test("refuses what a map cannot hold, and only that, before it writes any of it", async () => {
    const maps = createWatchedServiceMaps(readAll, { backends: 5 });
    const target = createServiceTarget(maps);
    const failures = await target.operations.update(
      updatesOf([frontend(1, [1], 2), frontend(2, [1], 9), frontend(3, [1], 3)]),
      never,
    );
    expect([...failures].map(([key, error]) => [key, (error as { code?: string }).code])).toEqual([
      ["10.96.0.1:2/TCP", "resource_exhausted"],
    ]);
    expect([...readAll(maps).keys()]).toEqual(["10.96.0.1:1/TCP", "10.96.0.1:3/TCP"]);
  });

  test("refuses a frontend too many, but not a change of one that is there", async () => {
    const maps = createWatchedServiceMaps(readAll, { services: 1 });
    const target = createServiceTarget(maps);
    await target.operations.update(updatesOf([frontend(1)]), never);
    expect((await target.operations.update(updatesOf([frontend(2)]), never)).size).toBe(1);
    expect((await target.operations.update(updatesOf([frontend(1, [1, 2])]), never)).size).toBe(0);
  });

  test("an agent killed between any two writes leaves maps that the next one makes right", async () => {
    const scenario = fc.tuple(
      fc.subarray([1, 2, 3]),
      fc.subarray([1, 2, 3]),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(25),
    );
    await fc.assert(
      fc.asyncProperty(scenario, async ([before, after, few, many, killAfter]) => {
        const maps = createWatchedServiceMaps(readAll);
        const first = createServiceTarget(maps);
        await first.operations.update(updatesOf([frontend(1, before, few), frontend(2)]), never);
        maps.failAfter = killAfter;
        const rows = [frontend(1, after, many), frontend(3)];
        await first.operations.update(updatesOf(rows), never).catch(() => {}); // The kill.
        maps.failAfter = Infinity;
        const second = createServiceTarget(maps);
        await second.operations.update(updatesOf(rows), never);
        await second.operations.prune(tableOf(rows), never);
        const fresh = createWatchedServiceMaps(readAll);
        await createServiceTarget(fresh).operations.update(updatesOf(rows), never);
        expect(contents(maps)).toEqual(contents(fresh));
        for (const name of ["services", "groups", "slots", "backends"] as const) {
          expect([...maps[name].entries()].length).toBe([...fresh[name].entries()].length);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("goes on after a write that failed, with what is really in the maps", async () => {
    const maps = createWatchedServiceMaps(readAll);
    const target = createServiceTarget(maps);
    maps.failAfter = 3;
    await expect(
      (async () => target.operations.update(updatesOf([frontend(1)]), never))(),
    ).rejects.toThrow("the kernel refuses");
    maps.failAfter = Infinity;
    await target.operations.update(updatesOf([frontend(1)]), never);
    expect(readAll(maps).get("10.96.0.1:1/TCP")?.length).toBe(2);
  });
});

/** Without the order of slots, which depends on history. */
function contents(maps: Parameters<typeof readAll>[0]): Record<string, string[]> {
  return Object.fromEntries([...readAll(maps)].map(([key, lines]) => [key, [...lines].sort()]));
}
