// Runs the scenarios of many seeds and sums up what came of them; stops at the first that fails.
import { seededRandom } from "./network.ts";
import { runScenario } from "./run.ts";
import { createScenario } from "./scenario.ts";

export interface Seeds {
  readonly first: number;
  readonly count: number;
  /** From one seed to the next; threads share the seeds by taking turns. */
  readonly stride: number;
}

export interface Sweep {
  readonly steps: number;
  readonly detectionsMs: readonly number[];
  readonly glanceDowns: number;
  readonly transitionsMost: number;
  readonly transitionsShareMost: number;
  /** What was not as promised, with the seed that repeats it. */
  readonly failure: string | undefined;
}

export function sweep({ first, count, stride }: Seeds): Sweep {
  const detectionsMs: number[] = [];
  let [steps, glanceDowns, transitionsMost, transitionsShareMost] = [0, 0, 0, 0];
  let failure: string | undefined;
  for (let i = 0; i < count && failure === undefined; i += 1) {
    const seed = first + i * stride;
    const random = seededRandom(seed);
    try {
      const result = runScenario(createScenario(random), random);
      steps += result.steps;
      glanceDowns += result.glanceDowns;
      transitionsMost = Math.max(transitionsMost, result.transitionsMost);
      transitionsShareMost = Math.max(transitionsShareMost, result.transitionsShareMost);
      detectionsMs.push(...result.detectionsMs);
    } catch (cause) {
      failure = `TOMBOLO_SEED=${seed} TOMBOLO_SCENARIOS=1: ${String(cause)}`;
    }
  }
  return { steps, detectionsMs, glanceDowns, transitionsMost, transitionsShareMost, failure };
}
