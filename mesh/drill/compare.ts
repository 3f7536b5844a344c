// Two drills of one kind side by side, and many in the order of time: what got worse. Pure.
import type { DrillReport } from "./report.ts";
import { startOf } from "./store.ts";

export interface Difference {
  /** "appliedMs p95", "shop/cart requests lost". */
  readonly what: string;
  readonly before: number;
  readonly after: number;
  /** By how much it grew, in percent of before; Infinity for something that was 0. */
  readonly growthPercent: number;
  readonly regression: boolean;
}

export interface Comparison {
  /** False when the two are reports of different drills: figures may mean nothing. */
  readonly sameDrill: boolean;
  readonly differences: readonly Difference[];
  readonly regression: boolean;
}

/** Milliseconds that two runs of the same thing differ by anyway. */
const NOISE_MS = 20;

/** A regression: worse by more than `tolerancePercent`, or a verdict that was PASS and is not. */
export function compareReports(
  before: DrillReport,
  after: DrillReport,
  tolerancePercent: number,
): Comparison {
  const [old, now] = [figuresOf(before), figuresOf(after)];
  const differences = [...old].flatMap(([what, was]): Difference[] => {
    const is = now.get(what);
    if (is === undefined) return [];
    const growthPercent = was === is ? 0 : was === 0 ? Infinity : ((is - was) / was) * 100;
    const noise = what.includes("Ms ") ? NOISE_MS : 0;
    const regression = is - was > noise && growthPercent > tolerancePercent;
    return [{ what, before: was, after: is, growthPercent, regression }];
  });
  const worse = before.verdict === "PASS" && after.verdict !== "PASS";
  return {
    sameDrill: before.definitionDigest === after.definitionDigest,
    differences,
    regression: worse || differences.some(({ regression }) => regression),
  };
}

export interface TrendPoint {
  readonly id: string;
  readonly atMs: number;
  readonly verdict: DrillReport["verdict"];
  readonly runs: number;
  /** p95 of the recovery time; undefined where it did not come to that. */
  readonly rtoMs: number | undefined;
  readonly failbackMs: number | undefined;
  readonly lost: number;
}

/** All reports of one drill (by name), oldest first. */
export function trendOf(reports: readonly DrillReport[], name: string): readonly TrendPoint[] {
  return reports
    .filter((report) => report.name === name)
    .map((report) => ({
      id: report.id,
      atMs: startOf(report),
      verdict: report.verdict,
      runs: report.runs.length,
      rtoMs: report.distributions["convergedMs"]?.p95,
      failbackMs: report.distributions["failbackMs"]?.p95,
      lost: [...lostByService(report).values()].reduce((sum, { lost }) => sum + lost, 0),
    }))
    .sort((a, b) => a.atMs - b.atMs);
}

function figuresOf(report: DrillReport): Map<string, number> {
  const figures = new Map<string, number>();
  for (const [name, { p50, p95, max }] of Object.entries(report.distributions)) {
    figures.set(`${name} p50`, p50);
    figures.set(`${name} p95`, p95);
    figures.set(`${name} max`, max);
  }
  for (const [service, { lost, hung }] of lostByService(report)) {
    figures.set(`${service} requests lost`, lost);
    figures.set(`${service} connections hung`, hung);
  }
  return figures;
}

/** A run's mean, so that drills of different numbers of runs compare. */
function lostByService(report: DrillReport): Map<string, { lost: number; hung: number }> {
  const sums = new Map<string, { lost: number; hung: number }>();
  for (const { service, ledger } of report.runs.flatMap(({ services }) => services)) {
    const sum = sums.get(service) ?? { lost: 0, hung: 0 };
    sum.lost += (ledger.requests.failed + ledger.requests.hung) / report.runs.length;
    sum.hung += ledger.flows.hung / report.runs.length;
    sums.set(service, sum);
  }
  return sums;
}
