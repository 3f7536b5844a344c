import { describe, expect, test } from "@jest/globals";
import { compareReports, trendOf } from "../../../../mesh/drill/compare.ts";
import type { DrillReport } from "../../../../mesh/drill/report.ts";

function report(rtoMs: number, options: { lost?: number; verdict?: "PASS" | "FAIL" } = {}) {
  const { lost = 0, verdict = "PASS" } = options;
  const ledger = {
    requests: { sent: 100, answered: 100 - lost, failed: lost, hung: 0, duplicated: 0 },
    flows: { established: 1, survived: 1, reset: 0, hung: 0, moved: 0 },
  };
  return {
    id: `west-${rtoMs}`,
    name: "west",
    definitionDigest: "d",
    verdict,
    runs: [{ startedAtMs: rtoMs, services: [{ service: "shop/cart", ledger }] }],
    distributions: { convergedMs: { p50: rtoMs, p95: rtoMs, max: rtoMs } },
  } as unknown as DrillReport;
}

describe("compareReports()", () => {
  for (const [before, after, regression] of [
    [report(500), report(560), false],
    [report(500), report(700), true],
    [report(500), report(300), false],
    // Worse by half, and by a few milliseconds: noise.
    [report(10), report(15), false],
    [report(500), report(500, { lost: 3 }), true],
    [report(500), report(500, { verdict: "FAIL" }), true],
  ] as const) {
    test(`${before.id} ${before.verdict} → ${after.id} ${after.verdict}: ${regression}`, () => {
      expect(compareReports(before, after, 20).regression).toBe(regression);
    });
  }

  test("says when the two are different drills", () => {
    const other = { ...report(500), definitionDigest: "e" };
    expect(compareReports(report(500), other, 20).sameDrill).toBe(false);
  });
});

describe("trendOf()", () => {
  test("is one drill's figures, oldest first", () => {
    const points = trendOf([report(700), report(500, { lost: 2 })], "west");
    expect(points.map(({ rtoMs, lost }) => [rtoMs, lost])).toEqual([
      [500, 2],
      [700, 0],
    ]);
    expect(trendOf([report(500)], "east")).toEqual([]);
  });
});
