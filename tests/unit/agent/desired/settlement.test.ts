import { describe, expect, test } from "@jest/globals";
import { createTable } from "../../../../mesh/core/table.ts";
import {
  createSettlement,
  listConnected,
  PEER_SETTLE_LIMIT_MS,
  type SettlementTracker,
} from "../../../../agent/desired/settlement.ts";
import type { PeerIntent } from "../../../../agent/intent/intent.ts";
import { EAST, WEST } from "../../../fakes/agent-cluster.ts";
import {
  createTestIntent,
  createTestPeer,
  type WritableIntent,
} from "../../../fakes/agent-intent.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

function create(): {
  settlement: SettlementTracker;
  intent: WritableIntent;
  clock: FakeClock;
  ready: () => number;
} {
  const clock = createFakeClock();
  const intent = createTestIntent(EAST);
  let calls = 0;
  const settlement = createSettlement({ intent, clock, onReady: () => calls++ });
  return { settlement, intent, clock, ready: () => calls };
}

/** An intent in which our own etcd says who is connected and who is configured. */
function createListed(configured: Readonly<Record<string, number | undefined>>) {
  const created = create();
  const { own, peers } = created.intent;
  for (const [name, id] of Object.entries(configured)) own.configuredPeers.put(name, { name, id });
  own.configuredPeers.markSynced();
  peers.markSynced();
  created.settlement.settle(EAST.id);
  return created;
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
    await clock.advance(PEER_SETTLE_LIMIT_MS - 1);
    expect(ready()).toBe(0);
    await clock.advance(1);
    expect(ready()).toBe(1);
    expect(settlement.mayPrune(2)).toBe(false);
    expect(settlement.unsettled()).toEqual([2]);
    end.abort();
    await run;
  });

  test("believes that a cluster is absent once the configured peers are known", async () => {
    const { settlement, intent, clock } = create();
    const end = new AbortController();
    const run = settlement.run(end.signal);
    settlement.settle(1);
    await clock.advance(10 * PEER_SETTLE_LIMIT_MS);
    expect([settlement.mayPrune(9), settlement.mayPruneAll()]).toEqual([false, false]);
    intent.peers.markSynced();
    expect(settlement.mayPrune(9)).toBe(false);
    intent.own.configuredPeers.markSynced();
    expect([settlement.mayPrune(9), settlement.mayPruneAll()]).toEqual([true, true]);
    end.abort();
    await run;
  });

  test("never believes that a configured peer is absent, however long it is away", async () => {
    const { settlement, intent, clock } = createListed({ west: WEST.id });
    const end = new AbortController();
    const run = settlement.run(end.signal);
    await clock.advance(10 * PEER_SETTLE_LIMIT_MS);
    expect([settlement.mayPrune(WEST.id), settlement.mayPrune(9)]).toEqual([false, true]);
    expect(settlement.mayPruneAll()).toBe(false);
    intent.own.configuredPeers.delete("west");
    expect([settlement.mayPrune(WEST.id), settlement.mayPruneAll()]).toEqual([true, true]);
    end.abort();
    await run;
  });

  test("a configured peer of unknown id may be any cluster, until it is connected", () => {
    const { settlement, intent } = createListed({ west: undefined });
    expect([settlement.mayPrune(WEST.id), settlement.mayPrune(9)]).toEqual([false, false]);
    intent.peers.put("west", createTestPeer(WEST));
    settlement.list(WEST.id);
    expect([settlement.mayPrune(WEST.id), settlement.mayPrune(9)]).toEqual([false, true]);
    expect(settlement.mayPruneAll()).toBe(false);
    settlement.settle(WEST.id);
    expect([settlement.mayPrune(WEST.id), settlement.mayPruneAll()]).toEqual([true, true]);
  });

  test("says when the configured peers have changed", async () => {
    const { settlement, intent, clock } = createListed({ west: WEST.id });
    const end = new AbortController();
    const run = settlement.run(end.signal);
    await clock.settle();
    const before = settlement.changed.get("absent");
    intent.own.configuredPeers.delete("west");
    await clock.settle();
    expect(settlement.changed.get("absent")).not.toBe(before);
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
    const tables = { nodes: table<never>(), endpoints: table<never>(), services: table<never>() };
    peers.put("west", { cluster, ...tables, identities: table(), drains: table() });
    peers.markSynced();
    await waiting;
    expect(settlement.unsettled()).toEqual([1, 2]);
  });
});
