// The tiers of tests, what each needs from the machine, and how their results add up. Pure:
// tests/run.ts looks at the machine, runs Jest and prints.

export const TIERS = [
  "unit",
  "contract",
  "bpf",
  "integration",
  "kubernetes",
  "e2e",
  "kubernetes-lab",
  "vm",
  "browser",
] as const;
export type Tier = (typeof TIERS)[number];

/** What a tier may need; each with the sentence that says why it cannot run. */
export type Need =
  | "root"
  | "etcd"
  | "clang"
  | "bpftool"
  | "ip"
  | "cgroup2"
  | "qemu"
  | "kernel-6.1"
  | "kubernetes"
  | "containerd"
  | "chromium";

/** What is missing on this machine, with the reason in words. */
export type MissingNeeds = ReadonlyMap<Need, string>;

const NEEDS: Record<Tier, readonly Need[]> = {
  unit: [],
  contract: ["root", "etcd", "clang"],
  bpf: ["root", "clang", "bpftool", "cgroup2"],
  integration: ["root", "etcd", "clang", "ip", "cgroup2"],
  kubernetes: ["etcd", "kubernetes"],
  e2e: ["root", "etcd", "clang", "ip", "cgroup2"],
  "kubernetes-lab": ["root", "etcd", "clang", "ip", "cgroup2", "kubernetes", "containerd"],
  vm: ["root", "clang", "bpftool", "qemu", "kernel-6.1"],
  browser: ["chromium"],
};

/** Tiers that touch the kernel or start daemons: one file at a time, so that figures and names do
 * not meet on a small machine. */
export const SERIAL_TIERS: ReadonlySet<Tier> = new Set([
  "bpf",
  "integration",
  "kubernetes",
  "e2e",
  "kubernetes-lab",
  "vm",
  "browser",
]);

/** Why the tier cannot run on a machine where these are missing; empty if it can. */
export function skipReasons(tier: Tier, missing: MissingNeeds): string[] {
  return NEEDS[tier].flatMap((need) => missing.get(need) ?? []);
}

export interface RunRequest {
  readonly tiers: readonly Tier[];
  /** Passed on to Jest: file patterns and options. */
  readonly jestArguments: readonly string[];
  /** Whether patterns narrow the run, so that a tier without a matching file is no failure. */
  readonly narrowed: boolean;
}

/**
 * Words that name tiers select them; a path below tests/TIER/ selects its tier as well;
 * everything else goes to Jest.
 */
export function parseRunRequest(argv: readonly string[]): RunRequest {
  const named = TIERS.filter((tier) => argv.includes(tier));
  const rest = argv.filter((word) => !TIERS.some((tier) => tier === word));
  const patterns = rest.filter((word) => !word.startsWith("-"));
  const fromPaths = TIERS.filter((tier) => patterns.some((p) => p.includes(`tests/${tier}/`)));
  const selected = named.length > 0 ? named : fromPaths;
  return {
    tiers: selected.length > 0 ? selected : TIERS,
    jestArguments: rest,
    narrowed: rest.length > 0,
  };
}

/** The part of Jest's JSON report that is used. */
export interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

export interface TierResult {
  readonly tier: Tier;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** What went wrong beyond failed tests, or why the tier did not run. */
  readonly notes: readonly string[];
}

export interface JestOutcome {
  /** Undefined when Jest wrote none: it crashed or was ended. */
  readonly report: JestReport | undefined;
  readonly exitStatus: number | null;
  /** Set when the process had to be ended, with the reason. */
  readonly ended: string | undefined;
  readonly seconds: number;
}

/** How one tier went. Whatever is not plainly a success counts as a failure. */
export function resultFromJest(
  tier: Tier,
  outcome: JestOutcome,
  { narrowed }: { readonly narrowed: boolean },
): TierResult {
  const { report, exitStatus, ended, seconds } = outcome;
  if (report === undefined) {
    const why = ended ?? `Jest ended with status ${exitStatus} and without a report`;
    return { tier, passed: 0, failed: 1, skipped: 0, seconds, notes: [why] };
  }
  const notes: string[] = [];
  const skipped = report.numPendingTests + report.numTodoTests;
  let failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  if (ended !== undefined) {
    failed += 1;
    notes.push(ended);
  }
  if (report.numPassedTests + failed + skipped === 0 && !narrowed) {
    failed += 1;
    notes.push("No tests were found");
  } else if (failed === 0 && exitStatus !== 0) {
    failed += 1;
    notes.push(`Jest ended with status ${exitStatus} although no test failed`);
  }
  if (!narrowed) notes.push(...skippedTests(report).map((name) => `Skipped: ${name}`));
  return { tier, passed: report.numPassedTests, failed, skipped, seconds, notes };
}

/** A tier that this machine cannot run: a failure where everything must run (CI). */
export function resultOfSkippedTier(
  tier: Tier,
  reasons: readonly string[],
  { strict }: { readonly strict: boolean },
): TierResult {
  const notes = reasons.map((reason) => `Not run: ${reason}`);
  return { tier, passed: 0, failed: strict ? 1 : 0, skipped: strict ? 0 : 1, seconds: 0, notes };
}

/** The last line of a run, which machines read. */
export function lastLine(results: readonly TierResult[]): string {
  const sum = (count: (result: TierResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  const skipped = sum((result) => result.skipped);
  const line = `${sum((r) => r.passed)} passed, ${sum((r) => r.failed)} failed`;
  return skipped === 0 ? line : `${line}, ${skipped} skipped`;
}

function skippedTests(report: JestReport): string[] {
  return report.testResults
    .flatMap((file) => file.assertionResults)
    .filter(({ status }) => status === "pending" || status === "todo")
    .map(({ fullName }) => fullName);
}
