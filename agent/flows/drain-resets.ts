// Ends flows to drained clusters once their grace is over: reset-policy.ts' stepDrains with a clock
// and a table of drains.
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import type { FlowReset } from "./flow-reset.ts";
import { stepDrains, type DrainWatch } from "./reset-policy.ts";

export interface DrainResetsOptions {
  /** Drains in force or to come, by a key that is theirs alone. */
  readonly drains: () => ReadonlyMap<string, DrainRecord>;
  /** Yields when they have changed. Ends when the signal aborts. */
  readonly changes: (signal: AbortSignal) => AsyncIterable<unknown>;
  readonly flowReset: Pick<FlowReset, "resetDrained">;
  readonly clock: Clock;
}

/** A drain's own end is looked for at least so often. */
const LOOK_INTERVAL_MS = 30_000;

/** Resolves when the signal aborts. */
export async function runDrainResets(
  options: DrainResetsOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, flowReset } = options;
  let wake = new AbortController();

  async function listen(): Promise<void> {
    for await (const _ of options.changes(signal)) wake.abort("drains have changed");
  }

  async function look(): Promise<void> {
    let watched: ReadonlyMap<string, DrainWatch> = new Map();
    while (!signal.aborted) {
      wake = new AbortController();
      const monotonicMs = clock.monotonicMs();
      const now = { drains: options.drains(), monotonicMs, wallMs: clock.nowMs() };
      const step = stepDrains(watched, now);
      watched = step.watched;
      await Promise.all(step.orders.map((order) => flowReset.resetDrained(order)));
      const waitMs = Math.max(0, Math.min(step.nextMs - clock.monotonicMs(), LOOK_INTERVAL_MS));
      try {
        await clock.sleep(waitMs, AbortSignal.any([signal, wake.signal]));
      } catch (error) {
        if (!isMeshError(error, "aborted")) throw error;
      }
    }
  }

  await Promise.all([listen(), look()]);
}
