import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createDrainPlanner, type DrainPlanner } from "../../../../agent/desired/drains.ts";
import type { ClusterDrainTarget, WantedDrain } from "../../../../agent/apply/cluster-drain.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import {
  createTestIntent,
  createTestPeer,
  type WritableCluster,
  type WritableIntent,
} from "../../../fakes/agent-intent.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { testDrain } from "../../../fakes/drains.ts";
import type { ClusterService } from "../../../../mesh/core/service.ts";

const cluster = (name: string, id: number) => ({ name, id, maxConnectedClusters: 255 }) as const;

let clock: FakeClock;
let intent: WritableIntent;
let west: WritableCluster<ClusterService>;
let planner: DrainPlanner;
let applied: { readonly wanted: Record<number, WantedDrain>; readonly known: boolean };
let replanned: string[];
let end: AbortController;
let running: Promise<void>;

beforeEach(() => {
  clock = createFakeClock();
  intent = createTestIntent(cluster("east", 1));
  west = createTestPeer(cluster("west", 2));
  applied = { wanted: {}, known: false };
  replanned = [];
  const target: ClusterDrainTarget = {
    apply(wanted, isKnown) {
      applied = { wanted: Object.fromEntries(wanted), known: isKnown(2) };
      return [];
    },
  };
  const replan = (services: Iterable<string>): void => void replanned.push(...services);
  planner = createDrainPlanner({ intent, target, replan, clock, log: silentLogger });
  end = new AbortController();
  running = planner.run(end.signal);
});

afterEach(async () => {
  end.abort();
  await clock.advance(0);
  await running;
});

/** Everything is heard, and west is there. */
async function connect(): Promise<void> {
  intent.own.markSynced();
  intent.own.localDrains.markSynced();
  west.markSynced();
  intent.peers.put("west", west);
  intent.peers.markSynced();
  await clock.advance(100);
}

describe("createDrainPlanner()", () => {
  test("applies what a peer says of itself, and takes it back", async () => {
    await connect();
    expect(applied).toEqual({ wanted: {}, known: true });
    west.drains.put("a", testDrain({ percent: 25, expiresAtMs: clock.nowMs() + 20_000 }));
    await clock.settle();
    expect(applied.wanted).toEqual({ 2: { percent: 25, remainingMs: 20_000 } });
    expect(planner.inForce.get("west/a")).toMatchObject({ clusterId: 2, percent: 25 });
    west.drains.delete("a");
    await clock.settle();
    expect(applied.wanted).toEqual({});
    expect(planner.inForce.size).toBe(0);
  });

  test("takes the strongest of several, also of those about ourselves and about peers", async () => {
    await connect();
    west.drains.put("a", testDrain({ percent: 25 }));
    intent.own.localDrains.put("b", testDrain({ percent: 70 }));
    intent.own.drains.put("c", testDrain({ cluster: "east", percent: 10 }));
    await clock.settle();
    expect(applied.wanted).toEqual({
      1: { percent: 10, remainingMs: 0 },
      2: { percent: 70, remainingMs: 0 },
    });
  });

  test("falls back to the weaker one when the stronger one ends, with nobody's help", async () => {
    await connect();
    west.drains.put("a", testDrain({ percent: 25 }));
    intent.own.localDrains.put("b", testDrain({ expiresAtMs: clock.nowMs() + 5_000 }));
    await clock.settle();
    expect(applied.wanted[2]?.percent).toBe(100);
    await clock.advance(5_001);
    expect(applied.wanted[2]).toEqual({ percent: 25, remainingMs: 0 });
  });

  test("plans services again when their share changes, and only those", async () => {
    await connect();
    west.drains.put("a", testDrain({ services: ["shop/cart"], percent: 50 }));
    await clock.settle();
    expect(replanned).toEqual(["shop/cart"]);
    expect(planner.percentOf("shop/cart", "west")).toBe(50);
    expect(planner.percentOf("shop/pay", "west")).toBe(0);
    expect(applied.wanted).toEqual({});
    west.drains.put("b", testDrain({ percent: 5 }));
    await clock.settle();
    expect(replanned).toEqual(["shop/cart"]);
    west.drains.delete("a");
    await clock.settle();
    expect(replanned).toEqual(["shop/cart", "shop/cart"]);
    expect(planner.percentOf("shop/cart", "west")).toBe(0);
  });

  test("forgets what a peer said of itself when the peer goes", async () => {
    await connect();
    west.drains.put("a", testDrain());
    await clock.settle();
    expect(Object.keys(applied.wanted)).toEqual(["2"]);
    intent.peers.delete("west");
    await clock.settle();
    expect(applied.wanted).toEqual({});
  });

  test("does not know before everybody was heard, and waits for older ones a while only", async () => {
    await clock.advance(60_000);
    expect([applied.known, planner.inForce.synced]).toEqual([false, false]);
    intent.own.services.markSynced();
    intent.peers.put("west", west);
    intent.peers.markSynced();
    const known = planner.known(end.signal);
    await clock.advance(2_000);
    expect(applied.known).toBe(false);
    await clock.advance(2_000);
    await known;
    expect([applied.known, planner.inForce.synced]).toEqual([true, true]);
  });
});
