// What counts as configured failover, and what as a drill of it.
import { describe, expect, test } from "@jest/globals";
import { coverEdges, DrilledFailovers, failoverEdges } from "../../../../mesh/drill/coverage.ts";
import { CART, fakeService, LOGS } from "../../../fakes/drill-services.ts";
import { drillReport, drillRun } from "../../../fakes/drill-report.ts";

const ALONE = fakeService("shop/search", [
  { cluster: "west", tier: 0, nodes: ["west-node1", "west-node1"] },
]);
const DAY = 86_400_000;

describe("failoverEdges()", () => {
  test("are where traffic goes now and would go elsewhere", () => {
    const services = [CART, LOGS, ALONE];
    expect(
      failoverEdges([
        { name: "east", services },
        { name: "west", services },
      ]),
    ).toEqual([{ service: "shop/cart", client: "east", from: "west", to: ["east"] }]);
  });
});

describe("coverEdges()", () => {
  test("tells what was never drilled from what was drilled long ago", () => {
    const nowMs = 100 * DAY;
    const found = coverEdges([0, 50, 70, 99], (day) => day * DAY, { nowMs, staleDays: 30 });
    expect(found).toEqual({
      never: [0],
      stale: [50],
      coverage: { configured: 4, tested: 3, fresh: 2 },
    });
  });
});

describe("DrilledFailovers", () => {
  const run = drillRun();
  const touched = run.services.find(({ inScope }) => inScope)?.service ?? "";
  const untouched = run.services.find(({ inScope }) => !inScope)?.service ?? "";
  const away = { service: touched, from: "west" };

  test("holds when a service in scope was last drilled away from a cluster", () => {
    const later = drillRun({ startedAtMs: run.startedAtMs + DAY });
    const drilled = DrilledFailovers.from([drillReport({ runs: [later] }), drillReport()]);
    expect(drilled.lastMs(away)).toBe(later.startedAtMs);
    expect(drilled.lastMs({ service: touched, from: "east" })).toBe(0);
    expect(drilled.lastMs({ service: untouched, from: "west" })).toBe(0);
  });

  test("counts no drill that did not come to an end, and no fault that moves nobody", () => {
    const fault = { kind: "etcd-kill", cluster: "west", detail: "" };
    const drilled = DrilledFailovers.from([
      drillReport({ fault }),
      drillReport({ runs: [drillRun({ verdict: "INTERRUPTED" })] }),
    ]);
    expect(drilled.lastMs(away)).toBe(0);
  });

  test("believes no report that it was made after it was told", () => {
    const drilled = new DrilledFailovers();
    drilled.add(drillReport(), run.startedAtMs - DAY);
    expect(drilled.lastMs(away)).toBe(run.startedAtMs - DAY);
  });
});
