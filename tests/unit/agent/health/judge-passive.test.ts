import { describe, expect, test } from "@jest/globals";
import { DEFAULT_LIMITS } from "../../../../agent/health/judge-limits.ts";
import { createPassive } from "../../../../agent/health/judge-passive.ts";

const round = (failed: number, established: number, blind = false) => ({
  atMs: 0,
  blind,
  targets: [],
  heardRequests: new Map<number, number>(),
  suspects: [],
  passive: [{ clusterId: 2, connects: 9, established, failed, retransmissions: 0, aborted: 0 }],
});

describe("createPassive()", () => {
  test("adds up two rounds; five failures and no success are a refusal", () => {
    const passive = createPassive(DEFAULT_LIMITS);
    passive.add(round(3, 0));
    expect(passive.isRefusing(2)).toBe(false);
    passive.add(round(2, 0));
    expect(passive.isRefusing(2)).toBe(true);
    expect(passive.failedConnects(2)).toBe(5);
    expect(passive.isRefusing(3)).toBe(false);
    passive.add(round(9, 1));
    expect(passive.isRefusing(2)).toBe(false);
  });

  test("takes nothing from a pause", () => {
    const passive = createPassive(DEFAULT_LIMITS);
    passive.add(round(5, 0));
    passive.add(round(50, 0, true));
    expect(passive.failedConnects(2)).toBe(0);
  });
});
