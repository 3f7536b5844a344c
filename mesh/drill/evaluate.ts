// From everything that was seen to a result for each service, with a sentence for each objective
// that was missed; and from the runs of a drill to their distributions. Pure.
import type { DrillPlan, ServicePlan } from "./plan.ts";
import { bucketsFrom, flowLedger, isAfterFault, movedRatio, requestLedger } from "./ledger.ts";
import type {
  Distribution,
  DrillRun,
  Ledger,
  Objectives,
  RecoveryTimes,
  ServiceResult,
  Verdict,
} from "./report.ts";
import {
  isAnswered,
  percentile,
  samplesFrom,
  type CanaryEvidence,
  type Sample,
} from "./samples.ts";
import { recoveryTimes, type TimedEntry } from "./times.ts";

export interface Evidence {
  readonly injectedAtMs: number;
  readonly liftedAtMs: number;
  readonly canaries: readonly CanaryEvidence[];
  readonly timeline: readonly TimedEntry[];
}

/** Why a drill ended before its time. */
export interface Ending {
  readonly verdict: Verdict;
  readonly reason: string;
}

/** A line for each service of the plan, in its order. */
export function evaluateServices(
  plan: DrillPlan,
  evidence: Evidence,
  ending: Ending | undefined,
): readonly ServiceResult[] {
  return plan.services.map((service) => evaluateService(service, { plan, evidence, ending }));
}

/** The worst of all services, unless the run ended before its time or left something behind. */
export function judgeRun(
  services: readonly ServiceResult[],
  run: {
    readonly ending: Ending | undefined;
    readonly restoration: DrillRun["restoration"];
  },
): { readonly verdict: Verdict; readonly reasons: readonly string[] } {
  const { ending, restoration } = run;
  const failed = services.filter(({ verdict }) => verdict === "FAIL");
  const reasons = [
    ...(ending === undefined ? [] : [ending.reason]),
    ...failed.flatMap(({ service, reasons: own }) => own.map((reason) => `${service}: ${reason}`)),
    ...(restoration.proved ? [] : ["The datapath is not what it was before the drill"]),
  ];
  if (ending !== undefined) return { verdict: ending.verdict, reasons };
  const passed = failed.length === 0 && restoration.proved;
  return { verdict: passed ? "PASS" : "FAIL", reasons };
}

/** Over the services in scope: of each run the slowest of them. */
export function distributionsOf(runs: readonly DrillRun[]): Readonly<Record<string, Distribution>> {
  const values = new Map<string, number[]>();
  for (const { services } of runs) {
    const worst = new Map<string, number>();
    for (const { times } of services.filter(({ inScope }) => inScope)) {
      for (const [name, ms] of Object.entries(times) as [keyof RecoveryTimes, number][]) {
        worst.set(name, Math.max(worst.get(name) ?? 0, ms));
      }
    }
    for (const [name, ms] of worst) values.set(name, [...(values.get(name) ?? []), ms]);
  }
  return Object.fromEntries(
    [...values].map(([name, all]) => [
      name,
      { p50: percentile(all, 50), p95: percentile(all, 95), max: Math.max(...all) },
    ]),
  );
}

/** The worst comes first. */
export function worstVerdict(verdicts: readonly Verdict[]): Verdict {
  const order: readonly Verdict[] = ["FAIL", "CAPACITY_CHECK_FAILED", "ABORTED", "INTERRUPTED"];
  return order.find((verdict) => verdicts.includes(verdict)) ?? "PASS";
}

function evaluateService(
  service: ServicePlan,
  context: {
    readonly plan: DrillPlan;
    readonly evidence: Evidence;
    readonly ending: Ending | undefined;
  },
): ServiceResult {
  const { plan, evidence, ending } = context;
  const { injectedAtMs, liftedAtMs } = evidence;
  const liftedMs = liftedAtMs - injectedAtMs;
  const own = evidence.canaries.filter(({ order }) => order.service === service.service);
  const samples = samplesFrom(own, injectedAtMs);
  const phases = phasesOf(samples, liftedMs);
  const nodes = new Set(own.map(({ place }) => `${place.cluster}/${place.node}`));
  const entries = evidence.timeline.filter(
    ({ observer, cluster }) =>
      nodes.has(`${observer.cluster}/${observer.node}`) &&
      plan.effects.expects(observer.cluster, cluster),
  );
  const before = new Set(phases.before.map(({ cluster }) => cluster));
  const away = new Set(phases.during.filter(isAnswered).map(({ cluster }) => cluster));
  const touched = touchedClusters(service, plan);
  const returning = touched.filter((cluster) => before.has(cluster));
  const times = recoveryTimes({ samples, entries, liftedMs, returning });
  const ledger = { requests: requestLedger(samples), flows: flowLedger(own, injectedAtMs) };
  const result = { times, ledger, phases, moved: movedRatio(phases.before, phases.during) };
  const { objectives } = service;
  const missed =
    samples.length === 0
      ? ["No request was sent: nothing is known of it"]
      : missedObjectives(objectives, result, { wasAway: returning.length > 0 && away.size > 0 });
  return {
    service: service.service,
    inScope: service.inScope,
    verdict: ending?.verdict ?? (missed.length === 0 ? "PASS" : "FAIL"),
    reasons: ending === undefined ? missed : [ending.reason, ...missed],
    objectives,
    times: service.inScope ? times : {},
    ledger,
    latency: {
      beforeP50Ms: latency(phases.before, 50),
      beforeP99Ms: latency(phases.before, 99),
      duringP99Ms: latency(phases.during, 99),
      afterP99Ms: latency(phases.after, 99),
    },
    buckets: bucketsFrom(samples),
  };
}

interface Phases {
  readonly before: readonly Sample[];
  readonly during: readonly Sample[];
  readonly after: readonly Sample[];
}

function phasesOf(samples: readonly Sample[], liftedMs: number): Phases {
  const rest = samples.filter(isAfterFault);
  return {
    before: samples.filter((sample) => !isAfterFault(sample)),
    during: rest.filter(({ sentMs }) => sentMs < liftedMs),
    after: rest.filter(({ sentMs }) => sentMs >= liftedMs),
  };
}

/** Clusters whose backends the fault takes from at least one source. */
function touchedClusters(service: ServicePlan, { effects }: DrillPlan): string[] {
  const served = new Set(service.sources.flatMap(({ before }) => [...before.shares.keys()]));
  return [...served].filter((to) =>
    service.sources.some(({ cluster, after }) => {
      const expected = cluster !== to && effects.expects(cluster, to);
      return effects.takesAway && (expected || !after.shares.has(to));
    }),
  );
}

interface Found {
  readonly times: RecoveryTimes;
  readonly ledger: Ledger;
  readonly phases: Phases;
  readonly moved: number;
}

function missedObjectives(
  objectives: Objectives,
  { times, ledger, phases, moved }: Found,
  { wasAway }: { readonly wasAway: boolean },
): string[] {
  const missed: string[] = [];
  const since = requestLedger([...phases.during, ...phases.after]);
  const lost = since.failed + since.hung;
  const atMost = (limit: number | undefined, value: number, what: string, unit = ""): void => {
    if (limit === undefined || value <= limit) return;
    missed.push(`${what}: ${round(value)}${unit}, at most ${limit}${unit} was promised`);
  };
  if (objectives.rtoMs !== undefined && times.convergedMs === undefined) {
    missed.push("Requests went on failing until the fault was lifted");
  }
  atMost(objectives.rtoMs, times.convergedMs ?? 0, "Recovery took", " ms");
  atMost(objectives.maxLostRequests, lost, "Requests lost");
  atMost(objectives.maxErrorRatio, since.sent === 0 ? 0 : lost / since.sent, "Share of errors");
  atMost(objectives.maxHungFlows, ledger.flows.hung, "Connections left hanging");
  atMost(objectives.maxP99Ms, latency(phases.during, 99), "p99 during the fault", " ms");
  const ended = ledger.flows.reset + ledger.flows.moved;
  atMost(objectives.maxReconnects, ended, "Connections made anew");
  atMost(objectives.maxMovedRatio, moved, "Share of answers that moved to other clusters");
  if (objectives.failbackRtoMs !== undefined && wasAway && times.failbackMs === undefined) {
    missed.push("No request reached the cluster again while the drill looked on");
  }
  atMost(objectives.failbackRtoMs, times.failbackMs ?? 0, "Failback took", " ms");
  return missed;
}

function latency(samples: readonly Sample[], percent: number): number {
  const answered = samples.filter(isAnswered).map(({ sentMs, endMs }) => endMs - sentMs);
  return round(percentile(answered, percent));
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
