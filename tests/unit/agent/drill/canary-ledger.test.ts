// Records once each, in order, however they come and however often they are asked for.
import { describe, expect, test } from "@jest/globals";
import { createCanaryLedger } from "../../../../agent/drill/canary-ledger.ts";
import type { CanaryReport } from "../../../../agent/drill/canary/messages.ts";

function report(order: number, ...numbers: number[]): CanaryReport {
  const record = { sentAtMs: 1, ms: 2, answer: "west/a", error: "", duplicates: 0 };
  return { records: numbers.map((n) => ({ order, n, ...record })), kept: [] };
}

function numbers(ledger: ReturnType<typeof createCanaryLedger>, from: number[]): number[][] {
  return ledger.read(from).orders.map(({ records }) => records.map(({ n }) => n));
}

describe("createCanaryLedger()", () => {
  test("holds back what stands behind a request under way", () => {
    const ledger = createCanaryLedger(2);
    ledger.add(report(0, 0, 2, 3));
    ledger.add(report(1, 0));
    expect(numbers(ledger, [0, 0])).toEqual([[0], [0]]);
    ledger.add(report(0, 1));
    expect(numbers(ledger, [1, 1])).toEqual([[1, 2, 3], []]);
  });

  test("gives the same again until it is asked for what follows, then forgets", () => {
    const ledger = createCanaryLedger(1);
    ledger.add(report(0, 0, 1, 2));
    expect(numbers(ledger, [0])).toEqual([[0, 1, 2]]);
    expect(numbers(ledger, [0])).toEqual([[0, 1, 2]]);
    expect(ledger.size).toBe(3);
    expect(numbers(ledger, [2])).toEqual([[2]]);
    expect(ledger.size).toBe(1);
    ledger.add(report(0, 0));
    expect(numbers(ledger, [3])).toEqual([[]]);
    expect(ledger.size).toBe(0);
  });

  test("gives each order its share of an answer", () => {
    const ledger = createCanaryLedger(100);
    const many = Array.from({ length: 1_500 }, (_, n) => n);
    for (let order = 0; order < 100; order++) ledger.add(report(order, ...many));
    const counts = numbers(ledger, []).map(({ length }) => length);
    expect(new Set(counts)).toEqual(new Set([200]));
    const single = createCanaryLedger(1);
    single.add(report(0, ...many));
    expect(numbers(single, [0])[0]?.length).toBe(1_000);
  });

  test("tells the kept connections as they were told last, and ignores orders that are not there", () => {
    const ledger = createCanaryLedger(1);
    const flow = { openedAtMs: 1, answer: "west/a", endedAtMs: -1, end: "" } as const;
    ledger.add({ records: [], kept: [{ order: 0, flows: [flow] }] });
    ledger.add({ ...report(5, 0), kept: [{ order: 5, flows: [] }] });
    expect(ledger.read([]).orders).toEqual([{ records: [], kept: [flow] }]);
  });
});
