// What the loss of a cluster costs, and where the time goes: three clusters of two nodes, 500
// requests a second, and one cluster's underlay cut without a word, again and again, with few
// services and with many. Steps are told by the agents' timelines, the total by clients that open a
// connection for every request.
//
//   cut ──► detected ──► decided ──► applied ──► flows reset          every agent that stays
//    └───────────────────────────────────► last failed request       the clients
import { systemClock } from "../../mesh/core/clock.ts";
import type { PodHost } from "../../deploy/lab/pods.ts";
import {
  blackHole,
  bringUpFailoverLab,
  declareServices,
  LOST,
  measureFault,
  startLoad,
  type Load,
} from "../e2e/failover-lab.ts";
import { createTestLab } from "../e2e/test-lab.ts";
import {
  distribution,
  formatNumber,
  quantile,
  type Benchmark,
  type BenchmarkContext,
  type Distribution,
  type Measurement,
  type Verdict,
} from "./benchmark.ts";
import { readCutSteps, STEPS, untilHealthy, type CutSteps } from "./failover-steps.ts";

const SIZES = [10, 1_000, 10_000];
const CUTS = 10;
const QUICK_CUTS = 2;
/** The promise: the last request that fails was begun within a second of the cut. */
const LIMIT_MS = 1_000;
/** Rounds of probes are 100 ms apart: the phase alone makes that much. */
const SIZE_RATIO = 1.3;

interface Cut {
  readonly services: number;
  readonly lastFailedMs: number;
  readonly failed: number;
  readonly hung: number;
  readonly collateral: number;
  /** Until the last rule that makes the cut was written; part of everything else. */
  readonly cutMs: number;
  /** One of every agent that stays and every family. */
  readonly steps: readonly CutSteps[];
}

export const failover: Benchmark = {
  name: "failover",
  title: "a cluster is lost under 500 requests/s: from the cut until nothing fails any more",
  async run(context) {
    const count = context.givenRounds ?? (context.quick ? QUICK_CUTS : CUTS);
    const cuts = await measureAll(count, context);
    return {
      measurements: SIZES.map((services) => totalOf(cuts, services)),
      distributions: SIZES.flatMap((services) => distributionsOf(cuts, services)),
      verdicts: verdictsOf(cuts),
      notes: notesOf(cuts, count),
    };
  },
};

async function measureAll(count: number, context: BenchmarkContext): Promise<Cut[]> {
  const { say, signal } = context;
  const lab = createTestLab("bench");
  const cuts: Cut[] = [];
  let load: Load | undefined;
  try {
    say("  three clusters of two nodes are brought up and connected");
    const host = await bringUpFailoverLab(lab, { services: SIZES[0] ?? 1 });
    for (const services of SIZES) {
      signal.throwIfAborted();
      await load?.stop();
      load = undefined;
      say(`  ${services} services`);
      await declareServices(host, services);
      load = await unlessAborted(startLoad(host, services), signal);
      for (let n = 1; n <= count; n++) {
        const cut = await unlessAborted(measureCut(host, { load, services }), signal);
        cuts.push(cut);
        say(`  ${services} services, ${n}/${count}: ${describeCut(cut)}`);
      }
    }
    return cuts;
  } finally {
    // What the clients still say does not matter any more; the lab takes their processes along.
    await load?.stop().catch(() => {});
    await lab.remove();
  }
}

async function measureCut(
  host: PodHost,
  { load, services }: { readonly load: Load; readonly services: number },
): Promise<Cut> {
  const { inject, lift } = blackHole(host);
  let [beganMs, doneMs] = [0, 0];
  let steps: readonly CutSteps[] = [];
  await untilHealthy(host, LOST);
  const result = await measureFault(load, {
    inject: async () => {
      beganMs = systemClock.nowMs();
      await inject();
      doneMs = systemClock.nowMs();
    },
    lift: async () => {
      steps = await readCutSteps(host, { lost: LOST, atMs: beganMs });
      await lift();
    },
  });
  return { services, ...result, cutMs: doneMs - beganMs, steps };
}

/** What is given up goes on without anybody who cares, until its lab is gone. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  work.catch(() => {}); // Of work that was given up nobody wants to know how it ended.
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function describeCut({ lastFailedMs, failed, hung, collateral, steps }: Cut): string {
  const detected = quantile(
    steps.map((step) => step.detection),
    1,
  );
  return (
    `last failed ${lastFailedMs} ms, detected by all after ${Math.round(detected)} ms; ` +
    `${failed} failed, ${hung} hung, ${collateral} elsewhere`
  );
}

function nameOf(services: number, what: string): string {
  return `${services.toLocaleString("en-US")} services: ${what}`;
}

function totalsOf(cuts: readonly Cut[], services: number): number[] {
  return cuts.filter((cut) => cut.services === services).map(({ lastFailedMs }) => lastFailedMs);
}

function totalOf(cuts: readonly Cut[], services: number): Measurement {
  const values = totalsOf(cuts, services);
  const name = nameOf(services, "last failed new connection");
  return { name, unit: "ms", median: quantile(values, 0.5), values };
}

function distributionsOf(cuts: readonly Cut[], services: number): Distribution[] {
  const of = cuts.filter((cut) => cut.services === services);
  const steps = STEPS.map((step) => {
    const values = of.flatMap((cut) => cut.steps.map((one) => one[step]));
    return distribution(nameOf(services, step), "ms", values);
  });
  const total = nameOf(services, "last failed new connection");
  return [...steps, distribution(total, "ms", totalsOf(cuts, services))];
}

function verdictsOf(cuts: readonly Cut[]): Verdict[] {
  const within = SIZES.map((services): Verdict => {
    const ratio = quantile(totalsOf(cuts, services), 0.99) / LIMIT_MS;
    return {
      what: `${nameOf(services, "last failed new connection, p99")} / 1 s`,
      ratio,
      goal: { kind: "at most", ratio: 1 },
      met: ratio <= 1,
    };
  });
  const [fewest = 0, most = 0] = [SIZES[0], SIZES.at(-1)];
  const medianOf = (services: number): number => quantile(totalsOf(cuts, services), 0.5);
  const ratio = medianOf(most) / medianOf(fewest);
  const what = `last failed, median: ${most} services / ${fewest} services`;
  const goal = { kind: "at most", ratio: SIZE_RATIO } as const;
  return [...within, { what, ratio, goal, met: ratio <= goal.ratio }];
}

function notesOf(cuts: readonly Cut[], count: number): string[] {
  const sum = (of: (cut: Cut) => number): number => cuts.reduce((all, cut) => all + of(cut), 0);
  const cutMs = quantile(
    cuts.map((cut) => cut.cutMs),
    0.5,
  );
  return [
    `${count} cuts a size, one lab for all; steps are of every agent that stays and each family`,
    `times count from before the cut is written, which takes ${formatNumber(cutMs)} ms (median)`,
    `${sum(({ failed }) => failed)} requests failed in all cuts, ${sum(({ hung }) => hung)} hung, ` +
      `${sum(({ collateral }) => collateral)} of services that the lost cluster has no part in`,
    "six nodes, nine daemons and four clients share the machine",
  ];
}
