import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClusterIdentity } from "../../../../mesh/core/cluster.ts";
import { serviceKey } from "../../../../mesh/core/service.ts";
import {
  createServicePlanner,
  type HeldGroup,
  type ServicePlanner,
} from "../../../../agent/desired/services.ts";
import {
  planService,
  type Frontend,
  type IsBackendDown,
} from "../../../../agent/plan/plan-service.ts";
import { EAST, localService, NORTH, testService, WEST } from "../../../fakes/agent-cluster.ts";
import {
  createTestIntent,
  createTestPeer,
  type WritableIntent,
} from "../../../fakes/agent-intent.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

interface Running extends AsyncDisposable {
  readonly intent: WritableIntent;
  readonly planner: ServicePlanner;
  readonly clock: FakeClock;
}

function start(
  held: ReadonlyMap<string, readonly HeldGroup[]> = new Map(),
  isDown?: IsBackendDown,
): Running {
  const clock = createFakeClock();
  const intent = createTestIntent(EAST);
  const planner = createServicePlanner({ intent, held, isDown, clock });
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

const CART = localService(
  testService(EAST, {
    frontends: { "10.96.0.1": ["http/80"] },
    backends: { "10.1.0.1": ["http/8080"] },
  }),
);
const WEST_CART = testService(WEST, { backends: { "10.2.0.1": ["http/9090"] } });
const KEY = "10.96.0.1:80/TCP";

/** `east 10.1.0.1:8080` for each backend. */
function backendsOf({ planner }: Running, key = KEY): string[] | undefined {
  return planner.desired
    .get(key)
    ?.groups.flatMap(({ cluster, backends }) =>
      backends.map(({ address, port }) => `${cluster} ${address}:${port}`),
    );
}

describe("createServicePlanner()", () => {
  test("plans nothing before the list of clusters is read", async () => {
    await using running = start();
    running.intent.own.services.put("shop/cart", CART);
    await running.clock.settle();
    expect(running.planner.desired.size).toBe(0);
    running.intent.peers.markSynced();
    await running.clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080"]);
  });

  test("follows a peer that comes, changes and goes", async () => {
    await using running = start();
    const { intent, clock } = running;
    intent.own.services.put("shop/cart", CART);
    intent.peers.markSynced();
    const west = createTestPeer(WEST);
    west.services.put("shop/cart", WEST_CART);
    intent.peers.put("west", west);
    await clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080", "west 10.2.0.1:9090"]);
    west.services.put("shop/cart", { ...WEST_CART, backends: new Map() });
    await clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080"]);
    west.services.put("shop/cart", WEST_CART);
    await clock.settle();
    intent.peers.delete("west");
    await clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080"]);
    expect(running.planner.settlement.mayPrune(WEST.id)).toBe(true);
  });

  test("plans again for backends that went down, and only what it is told to", async () => {
    const down = new Set<string>();
    const two = { "10.1.0.1": ["http/8080"], "10.1.0.2": ["http/8080"] };
    const service = (name: string, address: string) =>
      localService(
        testService(EAST, { name, frontends: { [address]: ["http/80"] }, backends: two }),
      );
    await using running = start(new Map(), ({ address }) => down.has(address));
    running.intent.own.services.put("shop/cart", service("cart", "10.96.0.1"));
    running.intent.own.services.put("shop/pay", service("pay", "10.96.0.2"));
    running.intent.peers.markSynced();
    await running.clock.settle();
    const weight = (key: string) => running.planner.desired.get(key)?.groups[0]?.weight;
    down.add("10.1.0.2");
    running.planner.replan(["shop/cart", "shop/gone"]);
    await running.clock.settle();
    expect([weight(KEY), weight("10.96.0.2:80/TCP")]).toEqual([1, 2]);
  });

  test("drops the frontends of a service that goes, and its notes", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    intent.peers.markSynced();
    const service = testService(EAST, { frontends: { "10.96.0.1": ["http/80", "sig/90/SCTP"] } });
    intent.own.services.put("shop/cart", localService(service));
    await clock.settle();
    expect(planner.notes.get("shop/cart")?.length).toBe(1);
    intent.own.services.delete("shop/cart");
    await clock.settle();
    expect([planner.desired.size, planner.notes.size]).toEqual([0, 0]);
  });

  test("gives a frontend that two services claim to one, and then to the other", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    intent.peers.markSynced();
    const other = localService({ ...CART.service, name: "basket" });
    intent.own.services.put("shop/cart", CART);
    intent.own.services.put("shop/basket", other);
    await clock.settle();
    expect(planner.desired.get(KEY)?.service).toBe("shop/basket");
    expect(planner.contested()).toBe(1);
    intent.own.services.delete("shop/basket");
    await clock.settle();
    expect(planner.desired.get(KEY)?.service).toBe("shop/cart");
  });

  test("is synced when everything listed has been read, and not before", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    const west = createTestPeer(WEST);
    intent.peers.put("west", west);
    intent.peers.markSynced();
    intent.own.markSynced();
    await clock.settle();
    expect(planner.desired.synced).toBe(false);
    west.markSynced();
    await clock.settle();
    expect(planner.desired.synced).toBe(true);
  });

  test("plans with what the maps held of a cluster until that has spoken", async () => {
    const held = new Map([
      [KEY, [{ clusterId: WEST.id, backends: [{ address: "10.2.0.9", port: 1 }] }]],
    ]);
    await using running = start(held);
    const { intent, clock } = running;
    const west = createTestPeer(WEST);
    intent.peers.put("west", west);
    intent.peers.markSynced();
    intent.own.services.put("shop/cart", CART);
    intent.own.markSynced();
    await clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080", "west 10.2.0.9:1"]);
    west.markSynced();
    await clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080"]);
  });

  test("keeps what the maps held of a cluster that is not listed, for a minute", async () => {
    const held = new Map([
      [KEY, [{ clusterId: 77, backends: [{ address: "10.7.0.1", port: 1 }] }]],
    ]);
    await using running = start(held);
    const { intent, clock } = running;
    intent.peers.markSynced();
    intent.own.services.put("shop/cart", CART);
    intent.own.markSynced();
    await clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080", " 10.7.0.1:1"]);
    intent.own.configuredPeers.put("far", { name: "far", id: 77 });
    intent.own.configuredPeers.markSynced();
    await clock.advance(600_000);
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080", "far 10.7.0.1:1"]);
    intent.own.configuredPeers.delete("far");
    await clock.settle();
    expect(backendsOf(running)).toEqual(["east 10.1.0.1:8080"]);
  });

  const names = ["cart", "basket", "order"];
  const change = fc.record({
    cluster: fc.constantFrom<ClusterIdentity>(EAST, WEST, NORTH),
    name: fc.constantFrom(...names),
    what: fc.constantFrom("put", "put", "delete", "connect", "disconnect"),
    backends: fc.subarray([1, 2, 3]),
    frontend: fc.constantFrom("10.96.0.1", "10.96.0.2"),
    affinity: fc.constantFrom("none" as const, "local" as const, "remote" as const),
  });

  test("planning change by change ends as planning everything at once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 25 }), fc.nat(3), async (changes, pause) => {
        await using running = start();
        const { intent, clock, planner } = running;
        intent.peers.markSynced();
        const peers = new Map([WEST, NORTH].map((id) => [id.name, createTestPeer(id)]));
        let step = 0;
        for (const { cluster, name, what, backends, frontend, affinity } of changes) {
          const service = testService(cluster, {
            name,
            frontends: { [frontend]: ["http/80"] },
            backends: Object.fromEntries(
              backends.map((last) => [`10.${cluster.id}.0.${last}`, ["http/80"]]),
            ),
          });
          const peer = peers.get(cluster.name);
          const key = serviceKey(service);
          if (peer === undefined) {
            if (what === "put") intent.own.services.put(key, localService(service, { affinity }));
            else if (what === "delete") intent.own.services.delete(key);
          } else if (what === "put") peer.services.put(key, service);
          else if (what === "delete") peer.services.delete(key);
          else if (what === "connect") intent.peers.put(cluster.name, peer);
          else intent.peers.delete(cluster.name);
          if (step++ % (pause + 1) === 0) await clock.settle();
        }
        await clock.settle();
        expect(new Map(planner.desired.entries())).toEqual(planAll(intent));
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});

/** From scratch: every service once; a frontend that two claim goes to the first by name. */
function planAll(intent: WritableIntent): Map<string, Frontend> {
  const all = new Map<string, Frontend>();
  const lastFirst = [...intent.own.services.entries()].sort(([a], [b]) => (a < b ? 1 : -1));
  for (const [key, local] of lastFirst) {
    const peers = [...intent.peers.entries()].flatMap(([, peer]) => peer.services.get(key) ?? []);
    for (const frontend of planService({ local, peers, held: new Map() }).frontends) {
      all.set(frontend.key, frontend);
    }
  }
  return all;
}
