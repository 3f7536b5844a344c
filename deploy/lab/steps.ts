// How the lab tells what it is doing: every step by name, with its outcome and how long it took.
import type { Clock } from "../../mesh/core/clock.ts";

export interface LabStep {
  readonly text: string;
  readonly ms: number;
}

/** Runs a step and reports what it returns. */
export type Stepper = (name: string, work: () => Promise<string>) => Promise<void>;

export function createStepper(environment: {
  readonly clock: Clock;
  readonly progress: (step: LabStep) => void;
}): Stepper {
  return async (name, work) => {
    const startMs = environment.clock.monotonicMs();
    const outcome = await work();
    const ms = Math.round(environment.clock.monotonicMs() - startMs);
    environment.progress({ text: `${name}: ${outcome}`, ms });
  };
}
