// One run of a drill, from the steady state to the verdict:
//
//   steady state, plan ─► snapshot ─► canaries ─► baseline ─► inject ─► observe
//     └ not steady, no capacity: nothing is touched                        │
//   verdict ◄─ compare ◄─ stop canaries ◄─ observe the failback ◄─ lift ◄──┘
//
// Whatever goes wrong after the injection, the fault is lifted first; what cannot be reached any
// more ends by itself.
import type { Clock } from "../core/clock.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import { createCanaryCollector, type CanaryCollector } from "./canary-collector.ts";
import { CONTROL_PLANE_KINDS, type DrillDefinition } from "./definition.ts";
import { placeName, type DrillMesh } from "./drill-mesh.ts";
import { evaluateServices, judgeRun, type Ending } from "./evaluate.ts";
import { gatherFacts, type MeshFacts } from "./facts.ts";
import { createFaultKeeper } from "./fault-keeper.ts";
import { describeCheck, findBreach, runCheck, untilAborted } from "./guards.ts";
import type { DrillObserver } from "./observer.ts";
import { planDrill, type DrillPlan } from "./plan.ts";
import { createRandom } from "./random.ts";
import type { DrillRun } from "./report.ts";
import { awaitRestoration, takeSnapshots, type Snapshots } from "./restoration.ts";
import { baselineProblems, healthProblems } from "./steady-state.ts";
import { createStopper, type Stopper } from "./stopper.ts";
import {
  createTimelineCollector,
  findRealFailure,
  timedEntries,
  type TimelineCollector,
} from "./timeline-collector.ts";
import { drillMarks } from "./timeline-marks.ts";

export interface RunParts {
  readonly mesh: DrillMesh;
  readonly definition: DrillDefinition;
  readonly drill: string;
  readonly number: number;
  /** Of this run. */
  readonly seed: number;
  readonly clock: Clock;
  readonly observer: DrillObserver;
  /** Ctrl-C, or a lock that was taken away. */
  readonly signal: AbortSignal;
}

const POLL_MS = 1_000;
/**
 * A single lost probe makes a cluster suspect for a second; what is still wrong after so long is no
 * passing trouble.
 */
const STEADY_LIMIT_MS = 10_000;
/** The program that sends requests has to be started; a busy node needs seconds. */
const FIRST_LIMIT_MS = 10_000;
/** Probe rounds come every 100 ms; a fault shall meet them at any point. */
const PHASE_MAX_MS = 1_000;
/** Canaries of a drill whose coordinator died keep others from drilling for so long. */
const CANARY_TTL_MS = 20_000;
/** Cleaning up may take so long, whatever does not answer. */
const CLEANUP_MS = 120_000;
const RESTORATION_MS = 30_000;
/** So long nobody must say anything bad before the failback counts as over. */
const QUIET_MS = 3_000;

export async function runOnce(parts: RunParts): Promise<DrillRun> {
  const { definition, clock, observer, seed } = parts;
  const startedAtMs = clock.nowMs();
  const stopper = createStopper(parts.signal);
  try {
    observer.phase("steady state");
    const { facts, unsteady } = await awaitSteadyState(parts, stopper.signal);
    if (unsteady.length > 0) {
      return untouched(parts, startedAtMs, aborted(`Not steady before: ${unsteady.join("; ")}`));
    }
    observer.phase("plan");
    const plan = planDrill(definition, facts, seed);
    for (const note of plan.notes) observer.note(note);
    if (plan.capacity.length > 0) {
      const reason = plan.capacity.join("; ");
      return untouched(parts, startedAtMs, { verdict: "CAPACITY_CHECK_FAILED", reason });
    }
    if (!plan.services.some(({ inScope }) => inScope) || plan.canaries.length === 0) {
      return untouched(parts, startedAtMs, aborted("The fault would touch no service"));
    }
    return await new Run(parts, { facts, plan, stopper, startedAtMs }).run();
  } catch (error) {
    // The operator's wish, before anything was touched.
    if (stopper.ending === undefined) throw error;
    return untouched(parts, startedAtMs, stopper.ending);
  } finally {
    stopper.release();
  }
}

class Run {
  readonly #parts: RunParts;
  readonly #facts: MeshFacts;
  readonly #plan: DrillPlan;
  readonly #stopper: Stopper;
  readonly #startedAtMs: number;
  readonly #canaries: CanaryCollector;
  readonly #timeline: TimelineCollector;
  #before: Snapshots = new Map();
  #injectedAtMs = 0;
  #liftedAtMs = 0;

  constructor(
    parts: RunParts,
    run: {
      readonly facts: MeshFacts;
      readonly plan: DrillPlan;
      readonly stopper: Stopper;
      readonly startedAtMs: number;
    },
  ) {
    const { mesh, drill, clock } = parts;
    this.#parts = parts;
    this.#facts = run.facts;
    this.#plan = run.plan;
    this.#stopper = run.stopper;
    this.#startedAtMs = run.startedAtMs;
    const plans = run.plan.canaries;
    // Each run's canaries are a flock of their own: records of an earlier run are none of this.
    const flock = `${drill}-${parts.number}`;
    const { facts } = run;
    this.#canaries = createCanaryCollector({ mesh, drill: flock, plans, facts, clock });
    const sinceMs = run.startedAtMs;
    this.#timeline = createTimelineCollector({ mesh, facts: run.facts, sinceMs });
  }

  async run(): Promise<DrillRun> {
    const { clock, observer, mesh } = this.#parts;
    const watching = new AbortController();
    const watched: Promise<void>[] = [];
    try {
      observer.phase("snapshot");
      this.#before = await takeSnapshots(mesh, this.#facts, this.#stopper.signal);
      observer.phase("canaries");
      await this.#canaries.start(this.#canaryTtlMs(), this.#stopper.signal);
      watched.push(...this.#watch(watching.signal));
      observer.phase("baseline");
      await this.#baseline();
      await this.#fault(watching.signal);
      observer.phase("observe the failback");
      await this.#failback();
    } catch (error) {
      if (this.#stopper.ending === undefined) {
        this.#stopper.stop({ verdict: "ABORTED", reason: messageFromError(error) });
      }
    }
    watching.abort("the run is over");
    await Promise.all(watched);
    const limit = cleanupSignal(clock);
    try {
      return await this.#finish(limit.signal);
    } finally {
      limit.end();
    }
  }

  /** Everything that goes on beside the phases until the run is over. */
  #watch(signal: AbortSignal): Promise<void>[] {
    const { mesh, clock, definition } = this.#parts;
    const stopper = this.#stopper;
    const checks = definition.guards.checks.map((check) =>
      runCheck(check, { mesh, clock, stopper }, signal),
    );
    return [this.#poll(signal), ...checks].map((work) =>
      untilAborted(work, signal).catch((error: unknown) =>
        stopper.stop({ verdict: "ABORTED", reason: messageFromError(error) }),
      ),
    );
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { clock, definition } = this.#parts;
    for (;;) {
      await clock.sleep(POLL_MS, signal);
      await Promise.all([this.#timeline.poll(signal), this.#canaries.poll(signal)]);
      const real = findRealFailure(this.#timeline.entries(), this.#plan.effects);
      if (real !== undefined) this.#stopper.stop({ verdict: "INTERRUPTED", reason: real });
      if (this.#injectedAtMs === 0) continue;
      const evidence = this.#canaries.evidence();
      const seen = { evidence, injectedAtMs: this.#injectedAtMs };
      const breach = findBreach(definition, this.#plan, seen);
      if (breach !== undefined) this.#stopper.stop(aborted(breach));
    }
  }

  async #baseline(): Promise<void> {
    const { clock, definition, seed } = this.#parts;
    await this.#canaries.awaitFirst(FIRST_LIMIT_MS, this.#stopper.signal);
    const phaseMs = createRandom(seed)() * PHASE_MAX_MS;
    await clock.sleep(definition.baselineMs + phaseMs, this.#stopper.signal);
    await this.#canaries.poll(this.#stopper.signal);
    const evidence = this.#canaries.evidence();
    const problems = baselineProblems(definition, this.#plan, evidence);
    if (problems.length > 0) {
      this.#stopper.stop(aborted(`Not steady before: ${problems.join("; ")}`));
      this.#stopper.signal.throwIfAborted();
    }
  }

  /** From the injection to the lifting, which nothing prevents. */
  async #fault(signal: AbortSignal): Promise<void> {
    const { clock, definition, observer, mesh, drill } = this.#parts;
    const keeper = createFaultKeeper({
      mesh,
      drill,
      definition,
      effects: this.#plan.effects,
      clock,
    });
    const keeping = new AbortController();
    let kept: Promise<void> = Promise.resolve();
    observer.phase("inject");
    this.#injectedAtMs = clock.nowMs();
    try {
      await keeper.inject(this.#stopper.signal);
      kept = untilAborted(keeper.keep(this.#stopper, keeping.signal), keeping.signal);
      observer.phase("observe");
      await clock.sleep(definition.durationMs, this.#stopper.signal);
    } finally {
      keeping.abort("the fault is lifted");
      observer.phase("lift");
      const limit = cleanupSignal(clock);
      const silent = await kept
        .then(() => keeper.lift(limit.signal))
        .finally(() => {
          limit.end();
          this.#liftedAtMs = clock.nowMs();
        });
      for (const place of silent) {
        observer.note(`${placeName(place)} did not answer: its fault ends by itself`);
      }
    }
    signal.throwIfAborted();
  }

  /** Until everybody is well again for a while, but no longer than was asked for. */
  async #failback(): Promise<void> {
    const { clock, definition, mesh } = this.#parts;
    const { signal } = this.#stopper;
    const endMs = clock.monotonicMs() + definition.failbackMs;
    let quietSinceMs: number | undefined;
    while (clock.monotonicMs() < endMs) {
      await clock.sleep(Math.min(POLL_MS, endMs - clock.monotonicMs()), signal);
      const unwell = await gatherFacts(mesh, { clock, signal }).then(
        (facts) => healthProblems(facts).length > 0,
        (error: unknown) => {
          if (isMeshError(error, "aborted")) throw error;
          return true; // Daemons that were broken come back by and by.
        },
      );
      const nowMs = clock.monotonicMs();
      quietSinceMs = unwell ? undefined : (quietSinceMs ?? nowMs);
      if (quietSinceMs !== undefined && nowMs - quietSinceMs >= QUIET_MS) return;
    }
  }

  async #finish(signal: AbortSignal): Promise<DrillRun> {
    const { clock, observer, mesh, number } = this.#parts;
    observer.phase("stop canaries");
    await this.#canaries.finish(signal);
    await this.#timeline.poll(signal);
    observer.phase("compare");
    const compare = { mesh, facts: this.#facts, before: this.#before, clock };
    const limitMs = RESTORATION_MS;
    const differences = await awaitRestoration({ ...compare, limitMs }, signal);
    const restoration = { proved: differences.length === 0, differences };
    const endedAtMs = clock.nowMs();
    const injectedAtMs = this.#injectedAtMs === 0 ? endedAtMs : this.#injectedAtMs;
    const liftedAtMs = this.#liftedAtMs === 0 ? endedAtMs : this.#liftedAtMs;
    const entries = this.#timeline.entries();
    const timeline = timedEntries(entries, injectedAtMs);
    const { ending } = this.#stopper;
    const canaries = this.#canaries.evidence();
    const evidence = { injectedAtMs, liftedAtMs, canaries, timeline };
    const services = evaluateServices(this.#plan, evidence, ending);
    const { verdict, reasons } = judgeRun(services, { ending, restoration });
    const silent = this.#canaries.silent.map((node) => `${node} kept some of its records`);
    return {
      number,
      startedAtMs: this.#startedAtMs,
      injectedAtMs,
      liftedAtMs,
      endedAtMs,
      verdict,
      reasons: [...reasons, ...silent],
      services,
      timeline: drillMarks(this.#facts, timeline, liftedAtMs - injectedAtMs),
      restoration,
    };
  }

  /** They are renewed, but not while the drill breaks whoever carries the words. */
  #canaryTtlMs(): number {
    const { fault, durationMs } = this.#parts.definition;
    return CANARY_TTL_MS + (CONTROL_PLANE_KINDS.has(fault.kind) ? durationMs : 0);
  }
}

async function awaitSteadyState(
  parts: RunParts,
  signal: AbortSignal,
): Promise<{ readonly facts: MeshFacts; readonly unsteady: readonly string[] }> {
  const { mesh, clock, observer } = parts;
  const deadlineMs = clock.monotonicMs() + STEADY_LIMIT_MS;
  let told = "";
  for (;;) {
    const facts = await gatherFacts(mesh, { clock, signal });
    const unsteady = await steadyProblems(parts, facts, signal);
    if (unsteady.length === 0 || clock.monotonicMs() >= deadlineMs) return { facts, unsteady };
    const words = unsteady.join("; ");
    if (words !== told) observer.note(`not steady yet: ${words}`);
    told = words;
    await clock.sleep(POLL_MS, signal);
  }
}

async function steadyProblems(
  { mesh, definition }: RunParts,
  facts: MeshFacts,
  signal: AbortSignal,
): Promise<string[]> {
  const failures = await Promise.all(
    definition.guards.checks.map(async (check) => {
      const problem = await mesh.check(check.probe, check.timeoutMs, signal);
      return problem === undefined ? [] : [`${describeCheck(check)}: ${problem}`];
    }),
  );
  return [...healthProblems(facts), ...failures.flat()];
}

/** A run that ended before anything was touched. */
function untouched(parts: RunParts, startedAtMs: number, ending: Ending): DrillRun {
  const nowMs = parts.clock.nowMs();
  return {
    number: parts.number,
    startedAtMs,
    injectedAtMs: nowMs,
    liftedAtMs: nowMs,
    endedAtMs: nowMs,
    verdict: ending.verdict,
    reasons: [ending.reason],
    services: [],
    timeline: [],
    restoration: { proved: true, differences: [] },
  };
}

function aborted(reason: string): Ending {
  return { verdict: "ABORTED", reason };
}

/** Cleaning up goes on after Ctrl-C, but not for ever. */
function cleanupSignal(clock: Clock): { readonly signal: AbortSignal; end(): void } {
  const limit = new AbortController();
  const timer = new AbortController();
  void clock.sleep(CLEANUP_MS, timer.signal).then(
    () => limit.abort("cleaning up took too long"),
    () => {}, // It ended in time.
  );
  return { signal: limit.signal, end: () => timer.abort("cleaned up") };
}
