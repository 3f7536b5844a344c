import { describe, expect, test } from "@jest/globals";
import { systemClock } from "../../../../mesh/core/clock.ts";
import {
  definitionFromFlags,
  type DefinitionFlags,
} from "../../../../mesh/drill/definition-file.ts";
import { describePlan } from "../../../../mesh/drill/describe-plan.ts";
import { planFault } from "../../../../mesh/drill/faults.ts";
import { gatherFacts } from "../../../../mesh/drill/facts.ts";
import { planDrill, type DrillPlan } from "../../../../mesh/drill/plan.ts";
import { stopDrills } from "../../../../mesh/drill/stop-drills.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createFakeDrillMesh } from "../../../fakes/drill-mesh.ts";

const signal = new AbortController().signal;

async function plan(flags: DefinitionFlags): Promise<DrillPlan> {
  const mesh = createFakeDrillMesh(createFakeClock());
  const facts = await gatherFacts(mesh, { clock: systemClock, signal });
  return planDrill(definitionFromFlags(flags), facts, 1);
}

describe("planDrill()", () => {
  test("a black hole: the cluster's nodes, backends there, clients elsewhere", async () => {
    const { effects, services, canaries, capacity } = await plan({
      fault: "cluster-black-hole",
      cluster: "west",
    });
    expect(effects.injections.map(({ place }) => place.node)).toEqual(["west-node1", "west-node2"]);
    expect(effects.injections[0]?.faults).toEqual([
      {
        peer: "east",
        direction: "both",
        flowPercent: 100,
        dropPercent: 100,
        refuse: false,
        slow: false,
      },
    ]);
    expect(services.map(({ service, inScope }) => [service, inScope])).toEqual([
      ["shop/cart", true],
      ["ops/logs", false],
    ]);
    const [source] = services[0]?.sources ?? [];
    expect(source).toMatchObject({ cluster: "east", backends: 3, touched: 2 });
    expect([...(source?.after.shares.keys() ?? [])]).toEqual(["east"]);
    expect(canaries.map(({ place }) => place.node)).toEqual(["east-node1", "east-node2"]);
    expect(canaries[0]?.orders.map(({ target }) => target)).toEqual([
      "tcp:10.96.0.10:80",
      "tcp:10.96.0.10:80",
    ]);
    expect(capacity).toEqual([]);
  });

  test("what speaks the canaries' protocol is asked by it, and others for a connection", async () => {
    const flags = { fault: "cluster-black-hole", cluster: "west", protocol: "echo" };
    const { canaries } = await plan(flags);
    expect(canaries[0]?.orders.map(({ service, protocol }) => [service, protocol])).toEqual([
      ["shop/cart", "echo"],
      ["ops/logs", "connect"],
    ]);
  });

  test("a node: its backends alone, clients everywhere else", async () => {
    const flags = { fault: "node-loss", cluster: "west", node: "west-node1" };
    const { effects, services } = await plan(flags);
    expect(effects.injections.map(({ place }) => place.node)).toEqual(["west-node1"]);
    expect(services[0]?.sources.map(({ cluster, touched }) => [cluster, touched])).toEqual([
      ["east", 1],
      ["west", 1],
    ]);
    expect(effects.isSource("west", "west-node1")).toBe(false);
    expect(effects.isSource("west", "west-node2")).toBe(true);
  });

  for (const [fault, breaks] of [
    ["control-plane-loss", ["west etcd-kill", "west apiserver-kill"]],
    ["nats-kill", ["west nats-kill"]],
    ["stale-cluster", ["west sessions-cut", "east sessions-cut"]],
  ] as const) {
    test(`${fault}: ${breaks.join(", ")}; no packet`, async () => {
      const { effects } = await plan({ fault, cluster: "west" });
      expect(effects.breaks.map((one) => `${one.cluster} ${one.fault}`)).toEqual(breaks);
      expect(effects.injections).toEqual([]);
    });
  }

  for (const [flags, message] of [
    [{ fault: "loss", cluster: "north" }, 'Cannot drill with cluster "north"'],
    [{ fault: "node-loss", cluster: "west", node: "n" }, 'Cannot lose node "n"'],
    [
      { fault: "loss", cluster: "west", service: ["shop/nobody"] },
      "Cannot judge shop/nobody: the fault touches none of their backends",
    ],
  ] as const) {
    test(message, async () => {
      await expect(plan(flags)).rejects.toThrow(message);
    });
  }
});

describe("planFault()", () => {
  const clusters = ["east", "west", "north"].map((name) => ({
    name,
    version: "",
    peers: [],
    nodes: [],
    silentNodes: [],
    services: [],
  }));
  const expected = (flags: DefinitionFlags): string[] => {
    const effects = planFault(definitionFromFlags(flags), { clusters });
    const names = clusters.map(({ name }) => name);
    return names.flatMap((observer) =>
      [...names, ""]
        .filter((subject) => effects.expects(observer, subject))
        .map((to) => `${observer} ${to}`),
    );
  };

  test("who is cut off from everybody says so of itself, and nobody else", () => {
    const west = ["east west", "west east", "west north", "west ", "north west"];
    expect(expected({ fault: "cluster-black-hole", cluster: "west" })).toEqual(west);
    expect(expected({ fault: "cluster-refuse", cluster: "west" })).toEqual(west);
    expect(expected({ fault: "partition", cluster: "west", peer: "east" })).toEqual([
      "east west",
      "west east",
    ]);
    expect(expected({ fault: "drain", cluster: "west" })).toEqual([]);
  });
});

describe("describePlan()", () => {
  test("names what is touched and what is not", async () => {
    const definition = definitionFromFlags({ fault: "cluster-refuse", cluster: "west" });
    const text = describePlan(
      definition,
      await plan({ fault: "cluster-refuse", cluster: "west" }),
      new Map([["shop/cart", 12]]),
    );
    expect(text).toContain("  shop/cart, 12 established flows\n");
    expect(text).toContain("now west 100 %, then east 100 %");
    expect(text).toContain("must not be touched: ops/logs\n");
  });
});

describe("stopDrills()", () => {
  test("lifts everywhere, names who is silent, and takes the locks away", async () => {
    const mesh = createFakeDrillMesh(createFakeClock());
    const west = { cluster: "west", node: "west-node1" };
    const apiserver = { cluster: "west", node: "_apiserver" };
    await mesh.ask(west, { ask: "inject", drill: "d", faults: NO_FAULTS, ttlMs: 5_000 }, signal);
    const lock = { ask: "lock", drill: "d", holder: "h", ttlMs: 60_000, renew: false } as const;
    await mesh.ask(apiserver, lock, signal);
    expect(mesh.faults()).toEqual(["west/west-node1"]);
    mesh.trouble.silent.add("east/east-node2");
    const { lifted, silent } = await stopDrills(mesh, signal);
    expect(lifted).toHaveLength(5);
    expect(silent).toEqual(["east/east-node2"]);
    expect(mesh.faults()).toEqual([]);
    expect(mesh.lockHolder("west")).toBeUndefined();
  });
});

const NO_FAULTS = [
  {
    peer: "",
    direction: "both",
    flowPercent: 100,
    dropPercent: 100,
    refuse: false,
    slow: false,
  },
] as const;
