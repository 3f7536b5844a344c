import { describe, expect, test } from "@jest/globals";
import {
  clusterOfAnswer,
  formatCounts,
  parseRequestLine,
  summariseRequests,
} from "../../../../deploy/lab/requests.ts";

const record = (n: number, end: { answer: string } | { error: string }) => ({
  n,
  sentAtMs: n * 20,
  target: "tcp:10.97.0.10:80",
  ms: n,
  ...end,
});

describe("summariseRequests()", () => {
  test("counts answers by backend and cluster, and errors by text", () => {
    const summary = summariseRequests([
      record(1, { answer: "west/cart-1" }),
      record(2, { answer: "east/cart-2" }),
      record(3, { answer: "east/cart-1" }),
      record(4, { error: "no answer in time" }),
    ]);
    expect(summary).toMatchObject({ requests: 4, failures: 1, p50Ms: 2, p99Ms: 3 });
    expect([...summary.byCluster]).toEqual([
      ["east", 2],
      ["west", 1],
    ]);
    expect(formatCounts(summary.byBackend)).toBe("east/cart-1 1, east/cart-2 1, west/cart-1 1");
    expect([...summary.byError]).toEqual([["no answer in time", 1]]);
  });

  test("has no latency without an answer", () => {
    expect(summariseRequests([])).toMatchObject({ requests: 0, failures: 0, p50Ms: undefined });
  });
});

describe("parseRequestLine()", () => {
  test("reads what the client writes and names a line that it did not", () => {
    const line = record(1, { answer: "east/a" });
    expect(parseRequestLine(JSON.stringify(line))).toEqual(line);
    expect(clusterOfAnswer(line)).toBe("east");
    expect(() => parseRequestLine("Segmentation")).toThrow('"Segmentation"');
  });
});
