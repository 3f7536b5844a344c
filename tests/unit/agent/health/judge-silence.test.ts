import { describe, expect, test } from "@jest/globals";
import { DEFAULT_LIMITS } from "../../../../agent/health/judge-limits.ts";
import type { Refusal } from "../../../../agent/health/judge-passive.ts";
import {
  addToEstimate,
  chanceOf,
  isAccusedNodeDown,
  isClusterDown,
  isClusterDownHurried,
  isNodeDown,
  lossOf,
} from "../../../../agent/health/judge-silence.ts";

/** The rounds of unanswered probes that it takes. */
function roundsUntil(
  isDown: (silence: { rounds: number; probes: number; loss: number }) => boolean,
  loss: number,
  probesPerRound = 3,
): number {
  for (let rounds = 1; ; rounds += 1) {
    if (isDown({ rounds, probes: rounds * probesPerRound, loss })) return rounds;
  }
}

describe("isClusterDown()", () => {
  for (const [loss, rounds] of [
    [0, 4],
    [0.1, 4],
    [0.15, 5],
    [0.2, 6],
    [0.3, 7],
    [0.9, 7],
  ] as const) {
    test(`takes ${rounds} rounds of three probes at ${100 * loss} % loss`, () => {
      expect(roundsUntil((silence) => isClusterDown(silence, DEFAULT_LIMITS), loss)).toBe(rounds);
    });
  }

  test("takes a round more where a cluster gets one probe a round", () => {
    expect(roundsUntil((silence) => isClusterDown(silence, DEFAULT_LIMITS), 0, 1)).toBe(5);
  });
});

describe("isClusterDownHurried()", () => {
  const hurried = (loss: number, roundTripMs: number | undefined, refusal: Refusal = "many") =>
    roundsUntil(
      (silence) => isClusterDownHurried(silence, { roundTripMs, refusal }, DEFAULT_LIMITS),
      loss,
    );

  test("takes one round, two where answers take long or nobody knows how long, more at loss", () => {
    expect(hurried(0, 5)).toBe(1);
    expect(hurried(0, 50)).toBe(2);
    expect(hurried(0, undefined)).toBe(2);
    expect(hurried(0.1, 5)).toBe(2);
    expect(hurried(0.3, 5)).toBeGreaterThanOrEqual(4);
  });

  test("takes a round more where few connects were refused, and is not for those that were not", () => {
    expect(hurried(0, 5, "few")).toBe(2);
    expect(hurried(0, 50, "few")).toBe(3);
    const long = { rounds: 100, probes: 300, loss: 0 };
    const path = { roundTripMs: 5, refusal: "none" } as const;
    expect(isClusterDownHurried(long, path, DEFAULT_LIMITS)).toBe(false);
  });
});

describe("isNodeDown()", () => {
  test("takes five rounds of one probe, and so many more at loss that it is none", () => {
    expect(roundsUntil((silence) => isNodeDown(silence, DEFAULT_LIMITS), 0, 1)).toBe(5);
    expect(roundsUntil((silence) => isNodeDown(silence, DEFAULT_LIMITS), 0.3, 1)).toBe(25);
    expect(roundsUntil((silence) => isNodeDown(silence, DEFAULT_LIMITS), 0.9, 1)).toBe(30);
  });
});

describe("isAccusedNodeDown()", () => {
  test("takes two rounds of three probes", () => {
    expect(roundsUntil((silence) => isAccusedNodeDown(silence, DEFAULT_LIMITS), 0)).toBe(2);
    expect(roundsUntil((silence) => isAccusedNodeDown(silence, DEFAULT_LIMITS), 0.3)).toBe(9);
  });
});

describe("lossOf()", () => {
  test("follows the loss within some twenty probes", () => {
    const estimate = { sent: 0, answered: 0 };
    for (let i = 0; i < 100; i += 1) addToEstimate(estimate, 1, 1);
    expect(lossOf([estimate])).toBe(0);
    for (let i = 0; i < 40; i += 1) addToEstimate(estimate, 2, 1);
    expect(lossOf([estimate])).toBeCloseTo(0.5, 1);
  });

  test("is a share whatever comes", () => {
    expect(lossOf([])).toBe(0);
    expect(lossOf([{ sent: 0, answered: 0 }])).toBe(0);
    expect(lossOf([{ sent: 2, answered: 5 }])).toBe(0);
    expect(chanceOf({ rounds: 1, probes: 1, loss: 1 })).toBeLessThan(1);
  });
});
