import { afterEach, expect, test } from "@jest/globals";
import { createLocalEndpoints } from "../../../../agent/endpoints/local-endpoints.ts";
import type { AddressRecord } from "../../../../agent/cni/address-book.ts";
import { pairNames } from "../../../../agent/cni/wiring.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const end = { all: [] as AbortController[] };
afterEach(() => {
  for (const one of end.all.splice(0)) one.abort();
});

function record(address: string, containerId: string): AddressRecord {
  const pod = `shop/${containerId}`;
  return { address, containerId, ifName: "eth0", netns: "/n", pod, bpfRoot: "/b" };
}

async function start(records: AddressRecord[], interfaces: Map<string, number>) {
  const clock = createFakeClock();
  const came = createTable<number>({ name: "came" });
  const local = createLocalEndpoints({
    book: { list: () => Promise.resolve([...records]) },
    podsCame: (signal) => came.changes(signal),
    interfaceIndex(name) {
      const index = interfaces.get(name);
      if (index === undefined) throw new MeshError("not_found", `Cannot find ${name}`);
      return index;
    },
    clock,
    log: silentLogger,
  });
  const stop = new AbortController();
  end.all.push(stop);
  const done = local.run(stop.signal);
  await clock.settle();
  return { clock, came, table: local.table, stop, done };
}

const host = (containerId: string): string => pairNames(containerId, "eth0").hostInterface;

test("has a row an interface, with all of its addresses", async () => {
  const { table, stop, done } = await start(
    [record("fd00::5", "a"), record("10.1.1.5", "a"), record("10.1.1.6", "b")],
    new Map([
      [host("a"), 7],
      [host("b"), 8],
    ]),
  );
  expect(table.synced).toBe(true);
  expect([...table.entries()].map(([, row]) => [row.key, row.pod, row.ifindex])).toEqual([
    ["a/eth0", "shop/a", 7],
    ["b/eth0", "shop/b", 8],
  ]);
  expect(table.get("a/eth0")?.addresses).toEqual(["10.1.1.5", "fd00::5"]);
  stop.abort();
  await done;
});

test("sees a pod that comes at once, and its interface as soon as it is made", async () => {
  const records: AddressRecord[] = [];
  const interfaces = new Map<string, number>();
  const { clock, came, table } = await start(records, interfaces);
  records.push(record("10.1.1.5", "a"));
  came.put("a", 1);
  await clock.settle();
  expect(table.size).toBe(0);
  interfaces.set(host("a"), 7);
  await clock.advance(100);
  expect(table.get("a/eth0")?.ifindex).toBe(7);
});

test("forgets a pod that went, now and then", async () => {
  const records = [record("10.1.1.5", "a")];
  const { clock, table } = await start(records, new Map([[host("a"), 7]]));
  expect(table.size).toBe(1);
  records.pop();
  await clock.advance(10_000);
  expect(table.size).toBe(0);
});
