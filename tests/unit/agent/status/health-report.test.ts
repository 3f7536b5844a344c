import { describe, expect, test } from "@jest/globals";
import type { HealthStatus } from "../../../../agent/health/health.ts";
import { reportHealth } from "../../../../agent/status/health-report.ts";

const west = { clusterId: 2, cluster: "west", family: 4 } as const;
const STATUS: HealthStatus = {
  view: {
    clusters: [
      {
        ...west,
        state: "down",
        reason: "silent",
        heldBackPercent: 0,
        lossPercent: 99.6,
        roundTripMs: undefined,
        usualRoundTripMs: 2,
      },
    ],
    nodesDown: [{ ...west, node: "west-1" }],
    backendsDown: [],
    isolated: false,
    probeAlso: [],
  },
  targets: [
    { ...west, node: "west-2", sent: 5, answered: 0, lastAnswerMs: undefined, roundTripMs: 1 },
    { ...west, node: "west-1", sent: 9, answered: 4, lastAnswerMs: 900, roundTripMs: 1 },
  ],
  since: new Map([
    [
      "west/4",
      {
        atMs: 7_000,
        transition: {
          subject: { kind: "cluster", ...west },
          from: "suspect",
          to: "down",
          atMs: 1,
          evidence: { silentRounds: 4 },
        },
      },
    ],
  ]),
  rounds: 10,
  blindRounds: 1,
  problem: "",
};

const parts = {
  node: "east-1",
  cluster: "east",
  intervalMs: 100,
  backendsDown: () => 3,
  clock: { nowMs: () => 10_000 },
  kernelNowNs: () => 1_000_000_000n,
};

describe("reportHealth()", () => {
  test("tells states with their age and evidence, and nodes by name", () => {
    const report = reportHealth({ ...parts, health: { status: () => STATUS } });
    expect(report.clusters).toMatchObject([
      {
        name: "west",
        state: "down",
        reason: "silent",
        sinceSeconds: 3,
        lossPercent: 100,
        roundTripMs: -1,
        usualRoundTripMs: 2,
        evidence: ["silentRounds 4"],
      },
    ]);
    expect(report.nodes).toMatchObject([
      { node: "west-1", down: true, lastAnswerMsAgo: 100 },
      { node: "west-2", down: false, lastAnswerMsAgo: -1 },
    ]);
    expect(report).toMatchObject({ enabled: true, backendsDown: 3, rounds: 10, blindRounds: 1 });
  });

  test("says that health is switched off", () => {
    const report = reportHealth({ ...parts, health: undefined });
    expect(report).toMatchObject({ enabled: false, clusters: [], nodes: [] });
  });
});
