// What `mesh status` says of failover that was drilled, was not, or of which nothing is known.
import { describe, expect, test } from "@jest/globals";
import {
  drillStatus,
  formatDrillStatuses,
  wantsDrills,
} from "../../../../mesh/commands/status-drills.ts";
import { DrilledFailovers } from "../../../../mesh/drill/coverage.ts";
import { drillReport, drillRun } from "../../../fakes/drill-report.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const freshness = { nowMs: NOW, staleDays: 30 };
const nothing = new DrilledFailovers();

function failover(service: string, from: string, daysAgo?: number) {
  const lastDrilledMs = daysAgo === undefined ? 0 : NOW - daysAgo * DAY;
  return { service, client: "east", from, to: ["east"], lastDrilledMs };
}

const CHECK = {
  problem: "",
  failovers: [
    failover("shop/new", "west", 1),
    failover("shop/old", "west", 40),
    failover("shop/cart", "west"),
  ],
};

describe("wantsDrills()", () => {
  test("is so while something was not drilled lately", () => {
    expect(wantsDrills(CHECK, freshness)).toBe(true);
    const failovers = [failover("shop/new", "west", 1)];
    expect(wantsDrills({ problem: "", failovers }, freshness)).toBe(false);
  });
});

describe("drillStatus()", () => {
  test("counts, and names first what ought to be drilled", () => {
    expect(drillStatus(CHECK, nothing, freshness)).toMatchObject({
      configured: 3,
      neverDrilled: 1,
      stale: 1,
      failovers: [
        { service: "shop/cart", state: "never-drilled" },
        { service: "shop/old", state: "stale" },
        { service: "shop/new", state: "fresh" },
      ],
    });
  });

  test("takes reports of this machine into account", () => {
    const services = drillRun().services.map((one) => ({ ...one, service: "shop/cart" }));
    const runs = [drillRun({ startedAtMs: NOW - DAY, services })];
    const own = DrilledFailovers.from([drillReport({ runs })]);
    expect(drillStatus(CHECK, own, freshness)).toMatchObject({ neverDrilled: 0, stale: 1 });
  });
});

describe("formatDrillStatuses()", () => {
  const open = drillStatus(CHECK, nothing, freshness);
  const unknown = drillStatus({ problem: "no agent answers", failovers: [] }, nothing, freshness);

  test("is one line for all clusters, and one for each reason why some cannot tell", () => {
    const clusters = [
      { name: "east", drills: open },
      { name: "west", drills: unknown },
      { name: "north", drills: open },
      { name: "south", drills: unknown },
      { name: "gone" },
    ];
    expect(formatDrillStatuses(clusters)).toEqual({
      remarks: [
        "failover: of 6 configured, 2 never drilled, 2 not for 30 days: shop/cart away from west, " +
          "shop/old away from west; `mesh drill suggest` names all",
        "west, south: what was drilled is not known: no agent answers",
      ],
      wellDone: "",
    });
  });

  test("names a few of many", () => {
    const failovers = ["a", "b", "c", "d"].map((name) => failover(`shop/${name}`, "west"));
    const many = drillStatus({ problem: "", failovers }, nothing, freshness);
    const { remarks } = formatDrillStatuses([{ name: "east", drills: many }]);
    expect(remarks[0]).toContain("4 never drilled: shop/a away from west,");
    expect(remarks[0]).toContain("shop/c away from west, …; `mesh drill suggest`");
  });

  test("says that all is well, and nothing where there is nothing to fail over", () => {
    const failovers = [failover("shop/new", "west", 1)];
    const well = drillStatus({ problem: "", failovers }, nothing, freshness);
    expect(formatDrillStatuses([{ name: "east", drills: well }])).toEqual({
      remarks: [],
      wellDone: "Drilled in the last 30 days: 1 of 1 failovers",
    });
    const none = drillStatus({ problem: "", failovers: [] }, nothing, freshness);
    expect(formatDrillStatuses([{ name: "east", drills: none }])).toEqual({
      remarks: [],
      wellDone: "",
    });
  });
});
