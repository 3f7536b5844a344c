import { describe, expect, test } from "@jest/globals";
import {
  lastLine,
  parseRunRequest,
  resultFromJest,
  resultOfSkippedTier,
  skipReasons,
  TIERS,
  type JestReport,
  type TierResult,
} from "../../tiers.ts";

const REPORT: JestReport = {
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
  testResults: [],
};
const RESULT: TierResult = {
  tier: "unit",
  passed: 3,
  failed: 0,
  skipped: 0,
  seconds: 1,
  notes: [],
};

describe("parseRunRequest()", () => {
  const cases: readonly [argv: readonly string[], tiers: readonly string[], jest: string[]][] = [
    [[], TIERS, []],
    [["unit", "bpf"], ["unit", "bpf"], []],
    [["tests/unit/pki"], ["unit"], ["tests/unit/pki"]],
    [["unit", "-t", "parse"], ["unit"], ["-t", "parse"]],
    [["backoff"], TIERS, ["backoff"]],
  ];
  for (const [argv, tiers, jestArguments] of cases) {
    test(`understands "${argv.join(" ")}"`, () => {
      expect(parseRunRequest(argv)).toEqual({
        tiers,
        jestArguments,
        narrowed: jestArguments.length > 0,
      });
    });
  }
});

describe("skipReasons()", () => {
  test("names what a tier needs and the machine lacks, and nothing else", () => {
    const missing = new Map([
      ["root", "needs root"],
      ["etcd", "needs etcd"],
    ] as const);
    expect(skipReasons("unit", missing)).toEqual([]);
    expect(skipReasons("bpf", missing)).toEqual(["needs root"]);
    expect(skipReasons("integration", missing)).toEqual(["needs root", "needs etcd"]);
  });
});

describe("resultFromJest()", () => {
  const outcome = { report: REPORT, exitStatus: 0, ended: undefined, seconds: 1 };

  test("counts what Jest reports", () => {
    expect(resultFromJest("unit", outcome, { narrowed: false })).toEqual(RESULT);
  });

  const failures: readonly [name: string, outcome: Partial<typeof outcome>, failed: number][] = [
    ["a crash", { report: undefined as never, exitStatus: 134 }, 1],
    ["a broken test file", { report: { ...REPORT, numRuntimeErrorTestSuites: 2 } }, 2],
    ["a tier without tests", { report: { ...REPORT, numPassedTests: 0 } }, 1],
    ["a bad status without a failed test", { exitStatus: 1 }, 1],
    ["a run that had to be ended", { ended: "limit" as never }, 1],
  ];
  for (const [name, change, failed] of failures) {
    test(`counts ${name} as failed`, () => {
      expect(resultFromJest("unit", { ...outcome, ...change }, { narrowed: false }).failed).toBe(
        failed,
      );
    });
  }

  test("accepts a narrowed run without a matching test", () => {
    const report = { ...REPORT, numPassedTests: 0 };
    expect(resultFromJest("unit", { ...outcome, report }, { narrowed: true }).failed).toBe(0);
  });

  test("names skipped tests", () => {
    const assertionResults = [{ fullName: "map pins", status: "pending" }];
    const report = { ...REPORT, numPendingTests: 1, testResults: [{ assertionResults }] };
    const result = resultFromJest("bpf", { ...outcome, report }, { narrowed: false });
    expect(result).toMatchObject({ failed: 0, skipped: 1, notes: ["Skipped: map pins"] });
  });
});

describe("resultOfSkippedTier()", () => {
  test("is a failure where everything must run", () => {
    expect(resultOfSkippedTier("bpf", ["needs root"], { strict: true })).toMatchObject({
      failed: 1,
    });
    expect(resultOfSkippedTier("bpf", ["needs root"], { strict: false })).toMatchObject({
      failed: 0,
    });
  });
});

describe("lastLine()", () => {
  test("is what machines read", () => {
    expect(lastLine([RESULT, { ...RESULT, failed: 1 }])).toBe("6 passed, 1 failed");
    expect(lastLine([{ ...RESULT, skipped: 2 }])).toBe("3 passed, 0 failed, 2 skipped");
  });
});
