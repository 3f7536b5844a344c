import { describe, expect, test } from "@jest/globals";
import { createRoutePlanner, type RoutePlanner } from "../../../../agent/desired/routes.ts";
import { EAST, testNode, WEST } from "../../../fakes/agent-cluster.ts";
import {
  createTestIntent,
  createTestPeer,
  type WritableIntent,
} from "../../../fakes/agent-intent.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

interface Running extends AsyncDisposable {
  readonly intent: WritableIntent;
  readonly planner: RoutePlanner;
  readonly clock: FakeClock;
}

function start(): Running {
  const clock = createFakeClock();
  const intent = createTestIntent(EAST);
  const planner = createRoutePlanner({ intent, nodeName: "east-1", underlayMtu: 1500, clock });
  const end = new AbortController();
  const done = planner.run(end.signal);
  return {
    intent,
    planner,
    clock,
    async [Symbol.asyncDispose]() {
      end.abort();
      await clock.settle();
      await done;
    },
  };
}

describe("createRoutePlanner()", () => {
  test("follows nodes of all clusters", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    const west = createTestPeer(WEST);
    const node = testNode(WEST, {
      name: "west-1",
      addresses: ["172.16.2.1"],
      podPrefixes: ["10.2.1.0/24"],
    });
    west.nodes.put("west-1", node);
    intent.peers.put("west", west);
    intent.peers.markSynced();
    const own = { name: "east-1", addresses: ["172.16.1.1"], podPrefixes: ["10.1.1.0/24"] };
    intent.own.nodes.put("east-1", testNode(EAST, own));
    await clock.settle();
    expect([...planner.desired.entries()].map(([, row]) => row)).toEqual([
      { kind: "unreachable", prefix: "10.1.1.0/24" },
      { kind: "overlay", prefix: "10.2.1.0/24", mtu: 1450, source: "10.1.1.1" },
    ]);
    intent.peers.delete("west");
    await clock.settle();
    expect([...planner.desired.entries()].map(([key]) => key)).toEqual(["10.1.1.0/24"]);
  });

  test("does not let a peer's node take our pod prefix", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    const west = createTestPeer(WEST);
    const parts = { name: "x", addresses: ["172.16.2.1"], podPrefixes: ["10.1.1.0/24"] };
    west.nodes.put("x", testNode(WEST, parts));
    intent.peers.put("west", west);
    intent.peers.markSynced();
    const own = { name: "east-1", addresses: ["172.16.1.1"], podPrefixes: ["10.1.1.0/24"] };
    intent.own.nodes.put("east-1", testNode(EAST, own));
    await clock.settle();
    expect(planner.desired.get("10.1.1.0/24")?.kind).toBe("unreachable");
    expect(planner.contested()).toBe(1);
  });

  test("plans the other nodes' routes again when our own prefixes appear", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    const own = { name: "east-1", addresses: ["172.16.1.1"], podPrefixes: [] as string[] };
    intent.peers.markSynced();
    intent.own.nodes.put("east-1", testNode(EAST, own));
    const other = { name: "east-2", addresses: ["172.16.1.2"], podPrefixes: ["10.1.2.0/24"] };
    intent.own.nodes.put("east-2", testNode(EAST, other));
    await clock.settle();
    expect(planner.desired.get("10.1.2.0/24")).toMatchObject({ source: "" });
    intent.own.nodes.put("east-1", testNode(EAST, { ...own, podPrefixes: ["10.1.1.0/24"] }));
    await clock.settle();
    expect(planner.desired.get("10.1.2.0/24")).toMatchObject({ source: "10.1.1.1" });
  });
});
