import { describe, expect, test } from "@jest/globals";
import type { DrillReport, DrillRun, ServiceResult } from "../../../../mesh/drill/report.ts";
import { drawTimeline, formatMs, summarize } from "../../../../mesh/drill/summary.ts";

const plain = (_style: string, text: string): string => text;

const CART: ServiceResult = {
  service: "shop/cart",
  inScope: true,
  verdict: "FAIL",
  reasons: ["Recovery took: 600 ms, at most 500 ms was promised"],
  objectives: { rtoMs: 500 },
  times: { detectedMs: 300, appliedMs: 310, convergedMs: 600 },
  ledger: {
    requests: { sent: 20, answered: 14, failed: 2, hung: 4, duplicated: 0 },
    flows: { established: 2, survived: 0, reset: 0, hung: 0, moved: 2 },
  },
  latency: { beforeP50Ms: 1, beforeP99Ms: 2, duringP99Ms: 2, afterP99Ms: 2 },
  buckets: Array.from({ length: 20 }, (_, i) => {
    const atMs = (i - 5) * 100;
    const bad = atMs >= 0 && atMs < 600;
    const cluster = atMs < 0 ? "west" : "east";
    return { atMs, answered: bad ? {} : { [cluster]: 1 }, failed: bad ? 1 : 0, hung: 0 };
  }),
};

const RUN: DrillRun = {
  number: 1,
  startedAtMs: 0,
  injectedAtMs: 1_000,
  liftedAtMs: 2_000,
  endedAtMs: 3_000,
  verdict: "FAIL",
  reasons: ["shop/cart: Recovery took: 600 ms, at most 500 ms was promised"],
  services: [CART],
  timeline: [],
  restoration: { proved: true, differences: [] },
};

describe("drawTimeline()", () => {
  test("shows who answered when, and what failed", () => {
    expect(drawTimeline(RUN, CART)).toEqual([
      "              ▼  D  C   ▲",
      "  east   ···········█████████",
      "  west   █████···············",
      "  failed ·····██████·········",
      "         one letter is 100 ms; ▼ fault, ▲ lifted, D detected, A applied, C converged",
    ]);
  });
});

describe("summarize()", () => {
  const report: DrillReport = {
    version: 1,
    id: "west-1",
    name: "west",
    hypothesis: "West may go.",
    fault: { kind: "cluster-refuse", cluster: "west", detail: "west" },
    command: "mesh drill run west.yaml --seed 7",
    seed: 7,
    software: {},
    definitionDigest: "d",
    clusters: [],
    verdict: "FAIL",
    runs: [RUN],
    distributions: {},
  };

  test("says what was found, why, and how to run it again", () => {
    const text = summarize(report, plain);
    expect(text).toContain("west  FAIL  west-1\nWest may go.\n");
    expect(text).toContain(
      "20 requests: 14 answered, 6 lost (2 failed, 4 hung); 2 connections: 2 moved",
    );
    expect(text).toContain("detected 300 ms, applied 310 ms, RTO 600 ms");
    expect(text).toContain("! shop/cart: Recovery took");
    expect(text).toContain("again: mesh drill run west.yaml --seed 7");
  });

  test("of several runs shows the distributions", () => {
    const distributions = { convergedMs: { p50: 500, p95: 600, max: 12_000 } };
    const text = summarize({ ...report, runs: [RUN, RUN], distributions }, plain);
    expect(text).toContain("RTO            p50 500 ms, p95 600 ms, max 12.0 s");
  });
});

describe("formatMs()", () => {
  test("seconds from ten on", () => {
    expect([formatMs(9_999), formatMs(10_000)]).toEqual(["9999 ms", "10.0 s"]);
  });
});
