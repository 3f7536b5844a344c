// A report as a drill of three clusters gives it: one service that moves, one that must not notice.
// Figures are made up and fit together.
import {
  REPORT_VERSION,
  type DrillReport,
  type DrillRun,
  type ServiceResult,
} from "../../mesh/drill/report.ts";

const INJECTED_AT_MS = Date.UTC(2026, 0, 12, 9, 30, 10);
const STEP_MS = 100;
const FROM_MS = -5_000;
const LIFTED_MS = 15_000;
const ENDED_MS = 25_000;
const CONVERGED_MS = 612;

export function drillReport(change: Partial<DrillReport> = {}): DrillReport {
  return {
    version: REPORT_VERSION,
    id: "20260112-093005-west",
    name: "west goes dark",
    hypothesis: "Customers of shop/cart lose less than a second when west cannot be reached",
    fault: { kind: "cluster-black-hole", cluster: "west", detail: "all services, both directions" },
    command: "mesh drill run --fault cluster-black-hole --cluster west --seed 7",
    seed: 7,
    software: { tombolo: "0.1.0", kernel: "6.1.0" },
    definitionDigest: "sha256:0f343b0931126a20f133d67c2b018a3b",
    clusters: ["east", "north", "west"],
    verdict: "PASS",
    runs: [drillRun()],
    distributions: { convergedMs: { p50: 612, p95: 640, max: 655 } },
    ...change,
  };
}

export function drillRun(change: Partial<DrillRun> = {}): DrillRun {
  return {
    number: 1,
    startedAtMs: INJECTED_AT_MS + FROM_MS,
    injectedAtMs: INJECTED_AT_MS,
    liftedAtMs: INJECTED_AT_MS + LIFTED_MS,
    endedAtMs: INJECTED_AT_MS + ENDED_MS,
    verdict: "PASS",
    reasons: [],
    services: [serviceResult(), controlResult()],
    timeline: ["east-node1", "east-node2", "north-node1", "north-node2"].flatMap((node, i) => [
      mark({ atMs: 410 + i * 13, node, what: "detected", text: "4 rounds without an answer" }),
      mark({ atMs: 411 + i * 13, node, what: "decided", text: "west is down" }),
      mark({ atMs: 412 + i * 13, node, what: "applied", text: "one write" }),
      mark({ atMs: 418 + i * 13, node, what: "flows-reset", text: "17 flows" }),
    ]),
    restoration: { proved: true, differences: [] },
    ...change,
  };
}

export function serviceResult(change: Partial<ServiceResult> = {}): ServiceResult {
  return {
    service: "shop/cart",
    inScope: true,
    verdict: "PASS",
    reasons: [],
    objectives: { rtoMs: 1_000, maxHungFlows: 0, failbackRtoMs: 10_000 },
    times: {
      firstErrorMs: 4,
      detectedMs: 410,
      decidedMs: 411,
      appliedMs: 451,
      firstSuccessMs: 2,
      convergedMs: CONVERGED_MS,
      failbackMs: 3_200,
    },
    ledger: {
      requests: { sent: 15_000, answered: 14_898, failed: 102, hung: 0, duplicated: 0 },
      flows: { established: 12, survived: 8, reset: 4, hung: 0, moved: 0 },
    },
    latency: { beforeP50Ms: 0.8, beforeP99Ms: 2.1, duringP99Ms: 2.6, afterP99Ms: 2.2 },
    buckets: buckets((atMs) => {
      const away = atMs >= 0 && atMs < LIFTED_MS + 3_200;
      const failing = atMs >= 0 && atMs < CONVERGED_MS;
      const lost = failing ? 17 : 0;
      const west = away ? 0 : 17;
      const rest = 50 - lost - west;
      const east = Math.ceil(rest / 2);
      return { answered: { east, north: rest - east, west }, failed: lost, hung: 0 };
    }),
    ...change,
  };
}

function controlResult(): ServiceResult {
  return serviceResult({
    service: "shop/search",
    inScope: false,
    objectives: { maxLostRequests: 0 },
    times: {},
    ledger: {
      requests: { sent: 1_500, answered: 1_500, failed: 0, hung: 0, duplicated: 0 },
      flows: { established: 2, survived: 2, reset: 0, hung: 0, moved: 0 },
    },
    buckets: buckets(() => ({ answered: { east: 3, north: 2 }, failed: 0, hung: 0 })),
  });
}

type Bucket = ServiceResult["buckets"][number];

function buckets(at: (atMs: number) => Omit<Bucket, "atMs">): Bucket[] {
  const count = (ENDED_MS - FROM_MS) / STEP_MS;
  return Array.from({ length: count }, (_, i) => {
    const atMs = FROM_MS + i * STEP_MS;
    return { atMs, ...at(atMs) };
  });
}

function mark(values: {
  readonly atMs: number;
  readonly node: string;
  readonly what: string;
  readonly text: string;
}): DrillRun["timeline"][number] {
  return { cluster: "west", ...values };
}
