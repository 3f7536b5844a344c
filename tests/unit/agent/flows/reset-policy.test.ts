import { describe, expect, test } from "@jest/globals";
import { stepDrains } from "../../../../agent/flows/reset-policy.ts";
import type { DrainRecord } from "../../../../mesh/kvstore/records/drain.ts";

const DRAIN: DrainRecord = {
  id: "d1",
  cluster: "west",
  clusterId: 2,
  percent: 100,
  services: [],
  expiresAtMs: 0,
  graceSeconds: 30,
  reason: "upgrade",
  createdAtMs: 1,
};

describe("stepDrains()", () => {
  const look = (
    before: ReturnType<typeof stepDrains> | undefined,
    monotonicMs: number,
    ...drains: DrainRecord[]
  ): ReturnType<typeof stepDrains> =>
    stepDrains(before?.watched ?? new Map(), {
      drains: new Map(drains.map((drain) => [drain.id, drain])),
      monotonicMs,
      wallMs: 1_000_000 + monotonicMs,
    });

  test("orders once, when the grace is over", () => {
    const first = look(undefined, 1_000, DRAIN);
    expect(first).toMatchObject({ orders: [], nextMs: 31_000 });
    const second = look(first, 30_999, DRAIN);
    expect(second.orders).toEqual([]);
    const third = look(second, 31_000, DRAIN);
    expect(third).toMatchObject({ orders: [{ clusterId: 2, services: [] }], nextMs: Infinity });
    expect(look(third, 99_000, DRAIN).orders).toEqual([]);
  });

  test("without grace orders at once, for the services that it names", () => {
    const drain = { ...DRAIN, graceSeconds: 0, services: ["shop/cart"] };
    expect(look(undefined, 5, drain).orders).toEqual([{ clusterId: 2, services: ["shop/cart"] }]);
  });

  test("forgets a drain that ends before its grace, however it ends", () => {
    const first = look(undefined, 0, DRAIN);
    expect(look(look(first, 10_000), 31_000).orders).toEqual([]);
    expect(look(first, 31_000, { ...DRAIN, expiresAtMs: 1_031_000 }).orders).toEqual([]);
    // Ordered anew it has its whole grace again.
    expect(look(look(first, 10_000), 20_000, DRAIN).nextMs).toBe(50_000);
  });

  test("leaves flows alone while the drain is partial; the grace begins when it is whole", () => {
    const partial = { ...DRAIN, percent: 99 };
    const first = look(undefined, 0, partial);
    expect(first).toMatchObject({ orders: [], nextMs: Infinity });
    const whole = look(first, 60_000, DRAIN);
    expect(whole).toMatchObject({ orders: [], nextMs: 90_000 });
  });

  test("gives the grace again to a drain that is changed, not to one that is prolonged", () => {
    const first = look(undefined, 0, DRAIN);
    const prolonged = { ...DRAIN, expiresAtMs: 9_000_000 };
    expect(look(first, 20_000, prolonged).nextMs).toBe(30_000);
    for (const changed of [
      { ...DRAIN, graceSeconds: 60 },
      { ...DRAIN, services: ["a/b"] },
      { ...DRAIN, createdAtMs: 2 },
    ])
      expect(look(first, 20_000, changed).nextMs).toBeGreaterThan(30_000);
  });

  test("waits for a cluster whose id is not known yet", () => {
    const unknown = { ...DRAIN, clusterId: undefined };
    const late = look(look(undefined, 0, unknown), 40_000, unknown);
    expect(late).toMatchObject({ orders: [], nextMs: Infinity });
    expect(look(late, 41_000, DRAIN).orders).toEqual([{ clusterId: 2, services: [] }]);
  });
});
