// Long answers in short turns: between them the agent does what cannot wait, probing before all.
import type { Clock } from "../../mesh/core/clock.ts";

export interface Turns {
  /** To be called after so many steps of work; rejects with `aborted`. */
  after(steps: number): Promise<void> | undefined;
}

/** Some 5 ms of what is done in a step. */
const STEPS_PER_TURN = 4_096;

export function createTurns(clock: Clock, signal: AbortSignal): Turns {
  let left = STEPS_PER_TURN;
  return {
    after(steps) {
      left -= steps;
      if (left > 0) return undefined;
      left = STEPS_PER_TURN;
      return clock.sleep(0, signal);
    },
  };
}
