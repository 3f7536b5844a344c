import { describe, expect, test } from "@jest/globals";
import type { MeshFacts } from "../../../../mesh/drill/facts.ts";
import type { DrillReport } from "../../../../mesh/drill/report.ts";
import { suggestDrills } from "../../../../mesh/drill/suggest.ts";
import { CART, fakeService } from "../../../fakes/drill-services.ts";

const ALONE = fakeService("shop/search", [
  { cluster: "west", tier: 0, nodes: ["west-node1", "west-node1"] },
]);
const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;

function factsOf(...services: readonly (typeof CART)[]): MeshFacts {
  const cluster = (name: string) => ({
    name,
    version: "0.1.0",
    peers: [],
    nodes: [],
    silentNodes: [],
    services,
  });
  return { clusters: [cluster("east"), cluster("west")] };
}

function drilled(service: string, cluster: string, daysAgo: number): DrillReport {
  const result = { service, inScope: true } as DrillReport["runs"][number]["services"][number];
  const startedAtMs = NOW - daysAgo * DAY;
  const run = { startedAtMs, verdict: "PASS", services: [result] };
  return {
    id: `d-${daysAgo}`,
    fault: { kind: "cluster-black-hole", cluster, detail: "" },
    runs: [run] as unknown as DrillReport["runs"],
  } as DrillReport;
}

describe("suggestDrills()", () => {
  const options = { nowMs: NOW, staleDays: 30 };

  test("names failover that was never drilled, with the words that drill it", () => {
    const { suggestions, coverage } = suggestDrills(factsOf(CART), [], options);
    expect(coverage).toEqual({ configured: 1, tested: 0, fresh: 0 });
    expect(suggestions).toMatchObject([
      {
        kind: "never-drilled",
        subject: "west",
        services: ["shop/cart"],
        command: "mesh drill run --fault cluster-black-hole --cluster west",
      },
    ]);
  });

  test("a drill counts for as long as it is fresh", () => {
    const fresh = suggestDrills(factsOf(CART), [drilled("shop/cart", "west", 3)], options);
    expect(fresh).toEqual({ suggestions: [], coverage: { configured: 1, tested: 1, fresh: 1 } });
    const old = suggestDrills(factsOf(CART), [drilled("shop/cart", "west", 40)], options);
    expect(old.coverage).toEqual({ configured: 1, tested: 1, fresh: 0 });
    expect(old.suggestions).toMatchObject([{ kind: "stale", subject: "west" }]);
    const other = suggestDrills(factsOf(CART), [drilled("shop/cart", "east", 3)], options);
    expect(other.coverage.tested).toBe(0);
  });

  test("names what a single node takes away", () => {
    const { suggestions } = suggestDrills(factsOf(ALONE), [], options);
    expect(suggestions).toMatchObject([
      { kind: "single-point-of-failure", subject: "west/west-node1", services: ["shop/search"] },
    ]);
  });
});
