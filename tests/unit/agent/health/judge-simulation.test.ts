// 10,000 scenarios from seeds, checked after every step. TOMBOLO_SEED begins elsewhere; a failure
// names the seed of its one scenario, and TOMBOLO_SCENARIOS=1 with it repeats just that.
import { describe, expect, test } from "@jest/globals";
import { runScenario } from "./simulation/run.ts";
import { seededRandom } from "./simulation/network.ts";
import { createScenario } from "./simulation/scenario.ts";

const FIRST_SEED = Number(process.env["TOMBOLO_SEED"] ?? 1);
const SCENARIOS = Number(process.env["TOMBOLO_SCENARIOS"] ?? 10_000);

describe("judge, simulated", () => {
  test(`holds its promises in ${SCENARIOS} scenarios`, () => {
    const detectionsMs: number[] = [];
    let [steps, most, share] = [0, 0, 0];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCENARIOS; seed += 1) {
      const random = seededRandom(seed);
      try {
        const result = runScenario(createScenario(random), random);
        steps += result.steps;
        most = Math.max(most, result.transitionsMost);
        share = Math.max(share, result.transitionsShareMost);
        detectionsMs.push(...result.detectionsMs);
      } catch (cause) {
        throw new Error(`TOMBOLO_SEED=${seed} TOMBOLO_SCENARIOS=1: ${String(cause)}`, { cause });
      }
    }
    detectionsMs.sort((a, b) => a - b);
    const quantile = (q: number): string =>
      (detectionsMs[Math.floor(q * (detectionsMs.length - 1))] ?? NaN).toFixed(0);
    process.stderr.write(
      `judge: ${SCENARIOS} scenarios from seed ${FIRST_SEED}, ${steps} steps; ` +
        `${detectionsMs.length} clean cuts noticed in p50 ${quantile(0.5)} ms, ` +
        `p99 ${quantile(0.99)} ms, worst ${quantile(1)} ms; most transitions of a cluster ` +
        `${most}, at most ${(100 * share).toFixed(0)} % of the bound\n`,
    );
    expect(steps).toBeGreaterThan(SCENARIOS);
    if (SCENARIOS >= 1_000) expect(detectionsMs.length).toBeGreaterThan(SCENARIOS / 50);
  }, 600_000);
});
