// What docs/health.md promises of flapping and of loss, measured over minutes.
import { describe, expect, test } from "@jest/globals";
import { DEFAULT_LIMITS } from "../../../../agent/health/judge-limits.ts";
import { transitionsMax } from "./simulation/bounds.ts";
import { seededRandom, type Fault, type SimulatedCluster } from "./simulation/network.ts";
import { runScenario } from "./simulation/run.ts";

const TEN_MINUTES = 600_000;

function scenarioWith(...faults: readonly Fault[]) {
  const cluster = (id: number, size: number): SimulatedCluster => ({
    id,
    name: `cluster${id}`,
    nodes: Array.from({ length: size }, (_, i) => `node${i}`),
    roundTripMs: 5,
  });
  const clusters = [cluster(2, 3), cluster(3, 1)];
  return { own: cluster(1, 2), clusters, faults, durationMs: TEN_MINUTES };
}

describe("transitionsMax()", () => {
  test("is what docs/health.md says: 52 of a cluster in a minute, 335 in ten", () => {
    expect(transitionsMax("cluster", 60_000, DEFAULT_LIMITS)).toBe(52);
    expect(transitionsMax("cluster", TEN_MINUTES, DEFAULT_LIMITS)).toBe(335);
  });

  for (const periodMs of [200, 500, 1_000, 2_000, 4_000, 10_000, 40_000]) {
    test(`holds while a cluster flaps every ${periodMs} ms for ten minutes`, () => {
      const flapping = { kind: "cut", clusterId: 2, fromMs: 1_000, toMs: TEN_MINUTES } as const;
      const { transitionsMost } = runScenario(
        scenarioWith({ ...flapping, periodMs }),
        seededRandom(periodMs),
      );
      process.stderr.write(
        `judge: flapping every ${periodMs} ms: ${transitionsMost} transitions\n`,
      );
      // The bound is checked at every step; what happens is far below it.
      expect(transitionsMost).toBeLessThanOrEqual(90);
    });
  }
});

describe("loss alone", () => {
  for (const amount of [0.1, 0.3]) {
    test(`of ${100 * amount} % takes no cluster down in ten minutes`, () => {
      const loss = { kind: "loss", fromMs: 1_000, toMs: TEN_MINUTES, amount } as const;
      // The run itself fails when a cluster goes down that is well.
      expect(runScenario(scenarioWith(loss), seededRandom(7)).detectionsMs).toEqual([]);
    });
  }
});
