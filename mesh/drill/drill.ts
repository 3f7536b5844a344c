// A whole drill: the locks, its runs one after the other, and the report of all of them. A report
// that says INTERRUPTED stands in the store from the first moment on, so that a drill whose
// coordinator died is known for what it was.
import type { Clock } from "../core/clock.ts";
import { messageFromError } from "../core/errors.ts";
import { definitionDigest, describeFault, type DrillDefinition } from "./definition.ts";
import { CONTROL_PLANE_KINDS } from "./definition.ts";
import type { DrillMesh } from "./drill-mesh.ts";
import { distributionsOf, worstVerdict } from "./evaluate.ts";
import { keepLocks, releaseLocks, takeLocks } from "./locks.ts";
import type { DrillObserver } from "./observer.ts";
import { createRandom } from "./random.ts";
import { REPORT_VERSION, type DrillReport, type DrillRun } from "./report.ts";
import { runOnce } from "./run-once.ts";
import { createStopper } from "./stopper.ts";
import { untilAborted } from "./guards.ts";

export interface DrillParts {
  readonly mesh: DrillMesh;
  readonly definition: DrillDefinition;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: DrillObserver;
  /** Who runs it, in words for people. */
  readonly holder: string;
  /** The words that run it again, but for the seed. */
  readonly command: string;
  readonly software: Readonly<Record<string, string>>;
  /** Called before anything is touched, after every run, and at the end. */
  readonly save: (report: DrillReport) => Promise<void>;
  readonly signal: AbortSignal;
}

const SEED_LIMIT = 2 ** 32;
const UNLOCK_MS = 10_000;

/** Throws `conflict` when another drill is under way; then nothing was touched or saved. */
export async function runDrill(parts: DrillParts): Promise<DrillReport> {
  const { mesh, definition, clock, random, observer } = parts;
  const seed = definition.seed ?? Math.floor(random() * SEED_LIMIT);
  const drill = drillId(definition.name, { clock, random });
  const seeds = createRandom(seed);
  const stopper = createStopper(parts.signal);
  const renewing = new AbortController();
  const { durationMs, fault } = definition;
  const outageMs = CONTROL_PLANE_KINDS.has(fault.kind) ? durationMs : 0;
  const lock = { mesh, drill, holder: parts.holder, outageMs, clock };
  const runs: DrillRun[] = [];
  const report = (): DrillReport => reportOf(parts, { drill, seed, runs });
  try {
    observer.phase("lock");
    await takeLocks(lock, stopper.signal);
    const kept = untilAborted(keepLocks(lock, stopper, renewing.signal), renewing.signal);
    try {
      await parts.save(withoutEnd(report()));
      for (let number = 1; number <= definition.runs; number++) {
        if (definition.runs > 1) observer.run(number, definition.runs);
        const runSeed = Math.floor(seeds() * SEED_LIMIT);
        const { signal } = stopper;
        const run = { mesh, definition, drill, number, seed: runSeed, clock, observer, signal };
        const done = await runOnce(run);
        const { ending } = stopper;
        runs.push(
          ending === undefined ? done : { ...done, reasons: replaced(done, ending.reason) },
        );
        const { verdict } = done;
        if (number < definition.runs) await parts.save(withoutEnd(report()));
        if (verdict !== "PASS" && verdict !== "FAIL") break;
      }
    } finally {
      renewing.abort("the drill is over");
      await kept;
      await releaseAll(parts, drill);
    }
  } finally {
    stopper.release();
  }
  const finished = report();
  await parts.save(finished);
  return finished;
}

/** Every run knows only that it was stopped; the drill knows by whom. */
function replaced({ reasons }: DrillRun, reason: string): readonly string[] {
  return [reason, ...reasons.slice(1)];
}

async function releaseAll({ mesh, clock, observer }: DrillParts, drill: string): Promise<void> {
  const limit = new AbortController();
  const timer = new AbortController();
  void clock.sleep(UNLOCK_MS, timer.signal).then(
    () => limit.abort("nobody answered in time"),
    () => {}, // It was released in time.
  );
  try {
    await releaseLocks({ mesh, drill, clusters: mesh.clusters }, limit.signal);
  } catch (error) {
    observer.note(`The lock ends by itself: ${messageFromError(error)}`);
  } finally {
    timer.abort("released");
  }
}

function reportOf(
  { definition, mesh, command, software }: DrillParts,
  { drill, seed, runs }: { drill: string; seed: number; runs: readonly DrillRun[] },
): DrillReport {
  const { name, hypothesis, fault } = definition;
  return {
    version: REPORT_VERSION,
    id: drill,
    name,
    hypothesis,
    fault: { kind: fault.kind, cluster: fault.cluster, detail: describeFault(definition) },
    command: `${command} --seed ${seed}`,
    seed,
    software,
    definitionDigest: definitionDigest(definition),
    clusters: mesh.clusters,
    verdict: worstVerdict(runs.map(({ verdict }) => verdict)),
    runs: [...runs],
    distributions: distributionsOf(runs),
  };
}

function withoutEnd(report: DrillReport): DrillReport {
  return { ...report, verdict: "INTERRUPTED" };
}

/** Sorts by time within a name; at most 63 of a-z, 0-9 and dashes. */
function drillId(
  name: string,
  { clock, random }: { readonly clock: Clock; readonly random: () => number },
): string {
  const time = new Date(clock.nowMs()).toISOString().replaceAll(/[-:T]|\..*/g, "");
  const chance = Math.floor(random() * 0x10000)
    .toString(16)
    .padStart(4, "0");
  return `${name}-${time}-${chance}`;
}
