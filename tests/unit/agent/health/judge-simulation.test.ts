// 10,000 scenarios from seeds, checked after every step. TOMBOLO_SEED begins elsewhere; a failure
// names the seed of its one scenario, and TOMBOLO_SCENARIOS=1 with it repeats just that.
import { describe, expect, test } from "@jest/globals";
import { sweepInThreads } from "./simulation/sweep-threads.ts";

const FIRST_SEED = Number(process.env["TOMBOLO_SEED"] ?? 1);
const SCENARIOS = Number(process.env["TOMBOLO_SCENARIOS"] ?? 10_000);

describe("judge, simulated", () => {
  test(`holds its promises in ${SCENARIOS} scenarios`, async () => {
    const sweeps = await sweepInThreads(FIRST_SEED, SCENARIOS);
    const failures = sweeps.flatMap(({ failure }) => failure ?? []);
    if (failures[0] !== undefined) throw new Error(failures[0]);
    const steps = sweeps.reduce((sum, sweep) => sum + sweep.steps, 0);
    const most = Math.max(...sweeps.map(({ transitionsMost }) => transitionsMost));
    const share = Math.max(...sweeps.map(({ transitionsShareMost }) => transitionsShareMost));
    const glanceDowns = sweeps.reduce((sum, sweep) => sum + sweep.glanceDowns, 0);
    const detectionsMs = sweeps.flatMap((sweep) => sweep.detectionsMs).sort((a, b) => a - b);
    const quantile = (q: number): string =>
      (detectionsMs[Math.floor(q * (detectionsMs.length - 1))] ?? NaN).toFixed(0);
    process.stderr.write(
      `judge: ${SCENARIOS} scenarios from seed ${FIRST_SEED}, ${steps} steps; ` +
        `${detectionsMs.length} clean cuts noticed in p50 ${quantile(0.5)} ms, ` +
        `p99 ${quantile(0.99)} ms, worst ${quantile(1)} ms; ${glanceDowns} refusals noticed ` +
        `between rounds; most transitions of a cluster ` +
        `${most}, at most ${(100 * share).toFixed(0)} % of the bound\n`,
    );
    expect(steps).toBeGreaterThan(SCENARIOS);
    if (SCENARIOS >= 1_000) {
      expect(detectionsMs.length).toBeGreaterThan(SCENARIOS / 50);
      expect(glanceDowns).toBeGreaterThan(SCENARIOS / 50);
    }
  }, 600_000);
});
