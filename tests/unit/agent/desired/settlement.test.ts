import { describe, expect, test } from "@jest/globals";
import { createTable } from "../../../../mesh/core/table.ts";
import {
  ABSENCE_BELIEVED_MS,
  createSettlement,
  listConnected,
  type SettlementTracker,
} from "../../../../agent/desired/settlement.ts";
import type { PeerIntent } from "../../../../agent/intent/intent.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

function create(): { settlement: SettlementTracker; clock: FakeClock; ready: () => number } {
  const clock = createFakeClock();
  let calls = 0;
  const settlement = createSettlement({ ownClusterId: 1, clock, onReady: () => calls++ });
  return { settlement, clock, ready: () => calls };
}

describe("createSettlement()", () => {
  test("believes nothing of anyone at first", () => {
    const { settlement } = create();
    expect([settlement.mayPrune(1), settlement.mayPrune(9)]).toEqual([false, false]);
    expect(settlement.unsettled()).toEqual([1]);
  });

  test("is ready once all that are listed have settled", () => {
    const { settlement, ready } = create();
    settlement.list(2);
    settlement.settle(1);
    expect(ready()).toBe(0);
    settlement.settle(2);
    expect(ready()).toBe(1);
    expect([settlement.mayPrune(1), settlement.mayPrune(2)]).toEqual([true, true]);
  });

  test("is ready after the limit although a peer never settles, and still keeps what is its", async () => {
    const { settlement, clock, ready } = create();
    const end = new AbortController();
    const run = settlement.run(end.signal);
    settlement.list(2);
    settlement.settle(1);
    await clock.advance(ABSENCE_BELIEVED_MS - 1);
    expect(ready()).toBe(0);
    await clock.advance(1);
    expect(ready()).toBe(1);
    expect(settlement.mayPrune(2)).toBe(false);
    expect(settlement.unsettled()).toEqual([2]);
    end.abort();
    await run;
  });

  test("believes that a cluster that was never listed is gone, but not at once", async () => {
    const { settlement, clock } = create();
    const end = new AbortController();
    const run = settlement.run(end.signal);
    settlement.settle(1);
    await clock.settle();
    expect(settlement.mayPrune(9)).toBe(false);
    await clock.advance(ABSENCE_BELIEVED_MS);
    expect(settlement.mayPrune(9)).toBe(true);
    end.abort();
    await run;
  });

  test("the wait begins when our own cluster has settled, however long that takes", async () => {
    const { settlement, clock } = create();
    const end = new AbortController();
    const run = settlement.run(end.signal);
    await clock.advance(10 * ABSENCE_BELIEVED_MS);
    settlement.settle(1);
    await clock.settle();
    expect(settlement.mayPrune(9)).toBe(false);
    end.abort();
    await run;
  });

  test("a cluster that is removed may be pruned, until it is listed again", () => {
    const { settlement } = create();
    settlement.list(2);
    settlement.gone(2);
    expect(settlement.mayPrune(2)).toBe(true);
    settlement.list(2);
    expect(settlement.mayPrune(2)).toBe(false);
  });

  test("changed has a row for each answer that changed", () => {
    const { settlement } = create();
    settlement.list(2);
    settlement.settle(2);
    settlement.settle(2);
    expect([...settlement.changed.entries()].map(([key]) => key)).toEqual(["2"]);
  });
});

describe("listConnected()", () => {
  test("waits for the list of clusters", async () => {
    const { settlement } = create();
    const peers = createTable<PeerIntent>({ name: "peers" });
    const waiting = listConnected({ settlement, peers }, new AbortController().signal);
    const cluster = { name: "west", id: 2, maxConnectedClusters: 255 as const };
    const table = <T>() => createTable<T>({ name: "t" });
    peers.put("west", { cluster, nodes: table(), endpoints: table(), services: table() });
    peers.markSynced();
    await waiting;
    expect(settlement.unsettled()).toEqual([1, 2]);
  });
});
