// When a writer last proved that it lives.
import { describe, expect, test } from "@jest/globals";
import { LifeSigns } from "../../../../mesh/kvstore/life-signs.ts";

describe("LifeSigns", () => {
  test("are fresh for two intervals after a proof, and not before the first", () => {
    const signs = new LifeSigns(1_000);
    expect(signs.fresh(0)).toBe(false);
    signs.proof(500);
    expect(signs.fresh(2_500)).toBe(true);
    expect(signs.fresh(2_501)).toBe(false);
    expect(signs.proofs).toBe(1);
  });

  test("count nothing for a moment after the process stood still", () => {
    const signs = new LifeSigns(1_000);
    signs.proof(0);
    signs.stalled(10_000);
    expect(signs.fresh(10_000)).toBe(false);
    signs.proof(10_100);
    expect(signs.fresh(10_100)).toBe(false);
    signs.proof(10_250);
    expect(signs.fresh(10_250)).toBe(true);
  });

  test("are forgotten with the etcd that they came from", () => {
    const signs = new LifeSigns(1_000);
    signs.proof(0);
    signs.forget();
    expect(signs.fresh(1)).toBe(false);
    expect(signs.lastProofMs).toBeUndefined();
  });
});
