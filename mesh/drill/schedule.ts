// Drills that run by themselves: waits for the next start of any definition, runs it, and waits
// again. One at a time; a start that comes while another drill runs is that much later or, outside
// the allowed windows by then, left out.
import type { Clock } from "../core/clock.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import { isAllowed, nextStart } from "./calendar.ts";
import type { DrillDefinition } from "./definition.ts";

export interface ScheduleParts {
  readonly clock: Clock;
  /** Runs one to its end; what it throws is told and ends nothing. */
  readonly run: (definition: DrillDefinition, signal: AbortSignal) => Promise<unknown>;
  readonly note: (text: string) => void;
}

/** Timers must not be asked for more than this; waking up early does no harm. */
const SLEEP_MAX_MS = 3_600_000;

/** Resolves when the signal aborts, or when no definition has a start ahead. */
export async function runSchedule(
  definitions: readonly DrillDefinition[],
  parts: ScheduleParts,
  signal: AbortSignal,
): Promise<void> {
  const { clock, run, note } = parts;
  const due = new Map(
    definitions.flatMap((definition) => {
      const startMs = startAfter(definition, clock.nowMs());
      return startMs === undefined ? [] : [[definition, startMs]];
    }),
  );
  try {
    for (;;) {
      const [next] = [...due].sort(([, a], [, b]) => a - b);
      if (next === undefined) return;
      const [definition, startMs] = next;
      note(`Next: ${definition.name} at ${new Date(startMs).toISOString()}`);
      await sleepUntil(startMs, clock, signal);
      if (isAllowed(definition.schedule?.windows ?? [], clock.nowMs())) {
        try {
          await run(definition, signal);
        } catch (error) {
          if (isMeshError(error, "aborted") && signal.aborted) throw error;
          note(`Cannot run ${definition.name}: ${messageFromError(error)}`);
        }
      } else note(`Left out: ${definition.name} could not begin inside its windows`);
      const again = startAfter(definition, Math.max(clock.nowMs(), startMs));
      if (again === undefined) due.delete(definition);
      else due.set(definition, again);
    }
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  }
}

function startAfter({ name, schedule }: DrillDefinition, afterMs: number): number | undefined {
  return schedule === undefined ? undefined : nextStart(schedule, name, afterMs);
}

async function sleepUntil(atMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    const leftMs = atMs - clock.nowMs();
    if (leftMs <= 0) return;
    await clock.sleep(Math.min(leftMs, SLEEP_MAX_MS), signal);
  }
}
