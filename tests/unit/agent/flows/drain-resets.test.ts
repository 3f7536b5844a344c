import { expect, test } from "@jest/globals";
import { runDrainResets } from "../../../../agent/flows/drain-resets.ts";
import type { DrainRecord } from "../../../../mesh/kvstore/records/drain.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const DRAIN: DrainRecord = {
  id: "d1",
  cluster: "west",
  clusterId: 2,
  percent: 100,
  services: ["shop/cart"],
  expiresAtMs: 0,
  graceSeconds: 30,
  reason: "",
  createdAtMs: 1,
};

test("flows are ended when the grace is over, and not if the drain is taken back before", async () => {
  const clock = createFakeClock();
  const table = createTable<DrainRecord>({ name: "drains" });
  const orders: unknown[] = [];
  const stop = new AbortController();
  const running = runDrainResets(
    {
      drains: () => new Map(table.entries()),
      changes: (signal) => table.changes(signal),
      flowReset: {
        resetDrained: (order) => {
          orders.push(order);
          return Promise.resolve({ reset: 1, problems: [], ms: 0 });
        },
      },
      clock,
    },
    stop.signal,
  );
  await clock.settle();
  table.put("d1", DRAIN);
  await clock.settle();
  await clock.advance(29_000);
  table.delete("d1");
  await clock.settle();
  await clock.advance(60_000);
  expect(orders).toEqual([]);
  table.put("d1", DRAIN);
  await clock.settle();
  await clock.advance(29_999);
  expect(orders).toEqual([]);
  await clock.advance(1);
  expect(orders).toEqual([{ clusterId: 2, services: ["shop/cart"] }]);
  await clock.advance(120_000);
  expect(orders.length).toBe(1);
  stop.abort();
  await running;
});
