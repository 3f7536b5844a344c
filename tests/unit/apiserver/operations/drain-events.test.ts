import { describe, expect, test } from "@jest/globals";
import { drainEvent } from "../../../../apiserver/operations/drain-events.ts";
import { testDrain } from "../../../fakes/drains.ts";

const DRAIN = testDrain({ expiresAtMs: 60_000, createdAtMs: 1_000, reason: "new kernel" });

describe("drainEvent()", () => {
  test("tells that a drain begins, with its share and end", () => {
    expect(drainEvent({ before: undefined, after: DRAIN, nowMs: 1_500 })).toEqual({
      kind: "drain",
      severity: "warning",
      subject: "west",
      from: "not drained",
      to: "drained 100 %",
      text: 'Drain of cluster "west" begins: 100 % of new connections go elsewhere, for 59 s (new kernel)',
      evidence: {
        id: "cluster-west",
        percent: 100,
        services: "",
        secondsLeft: 59,
        graceSeconds: 30,
      },
    });
  });

  test("says of one that is found at a start that it is in force", () => {
    const found = drainEvent({ before: undefined, after: DRAIN, nowMs: 30_000 });
    expect(found?.text).toContain("is in force: 100 %");
  });

  test("tells of another share or end, and of nothing else", () => {
    const after = { ...DRAIN, percent: 25 };
    const changed = drainEvent({ before: DRAIN, after, nowMs: 2_000 });
    expect(changed).toMatchObject({ from: "drained 100 %", to: "drained 25 %" });
    expect(changed?.text).toContain("is changed: 25 %");
    const longer = drainEvent({ before: DRAIN, after: { ...DRAIN, expiresAtMs: 0 }, nowMs: 2_000 });
    expect(longer?.text).toBe(
      'Drain of cluster "west" is changed: 100 % of new connections go elsewhere (new kernel)',
    );
    const same = { ...DRAIN, clusterId: 2, reason: "else" };
    expect(drainEvent({ before: DRAIN, after: same, nowMs: 2_000 })).toBeUndefined();
    expect(drainEvent({ before: undefined, after: undefined, nowMs: 0 })).toBeUndefined();
  });

  test("tells an end that has come from one that was ordered", () => {
    const service = { ...DRAIN, services: ["shop/cart", "shop/pay"], reason: "" };
    expect(drainEvent({ before: service, after: undefined, nowMs: 60_000 })).toMatchObject({
      severity: "info",
      to: "not drained",
      text: 'Drain of shop/cart and 1 more services in cluster "west" is over: its time has come',
    });
    const taken = drainEvent({ before: DRAIN, after: undefined, nowMs: 59_999 });
    expect(taken?.text).toContain("is taken back");
  });
});
