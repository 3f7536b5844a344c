// What a drill found out: the one document from which JUnit, the HTML page, `mesh drill show` and
// `compare` are made. Versioned: readers refuse what they do not know. Times are milliseconds of
// the coordinator's wall clock since 1970 where they say `AtMs`, else milliseconds after
// `injectedAtMs`.

export const REPORT_VERSION = 1;

export type Verdict = "PASS" | "FAIL" | "INTERRUPTED" | "ABORTED" | "CAPACITY_CHECK_FAILED";

/** What the drill promises to find; undefined is not asked for. */
export interface Objectives {
  /** From the fault to the last request that failed because of it. */
  readonly rtoMs?: number;
  readonly maxLostRequests?: number;
  /** 0 … 1. */
  readonly maxErrorRatio?: number;
  readonly maxHungFlows?: number;
  readonly maxP99Ms?: number;
  readonly maxReconnects?: number;
  /** Share of answers that come from another cluster than before, 0 … 1, beyond chance. */
  readonly maxMovedRatio?: number;
  readonly failbackRtoMs?: number;
}

/** The recovery time and its parts; undefined where it did not come to that. */
export interface RecoveryTimes {
  readonly firstErrorMs?: number;
  readonly detectedMs?: number;
  readonly decidedMs?: number;
  readonly appliedMs?: number;
  readonly firstSuccessMs?: number;
  /** No request fails any more: the RTO. */
  readonly convergedMs?: number;
  /** After the fault was lifted, until requests reach the cluster again. */
  readonly failbackMs?: number;
}

/** Requests and flows, each counted in exactly one place of its line. */
export interface Ledger {
  readonly requests: {
    readonly sent: number;
    readonly answered: number;
    readonly failed: number;
    readonly hung: number;
    readonly duplicated: number;
  };
  readonly flows: {
    readonly established: number;
    readonly survived: number;
    readonly reset: number;
    readonly hung: number;
    readonly moved: number;
  };
}

export interface ServiceResult {
  /** "NAMESPACE/NAME". */
  readonly service: string;
  /** False for services that the fault must not touch. */
  readonly inScope: boolean;
  readonly verdict: Verdict;
  /** A sentence for each objective that was missed, or why it was not asked. */
  readonly reasons: readonly string[];
  readonly objectives: Objectives;
  readonly times: RecoveryTimes;
  readonly ledger: Ledger;
  readonly latency: {
    readonly beforeP50Ms: number;
    readonly beforeP99Ms: number;
    readonly duringP99Ms: number;
    readonly afterP99Ms: number;
  };
  /** For the picture: per 100 ms of the whole drill, who answered and what failed. */
  readonly buckets: readonly {
    readonly atMs: number;
    readonly answered: Readonly<Record<string, number>>;
    readonly failed: number;
    readonly hung: number;
  }[];
}

export interface TimelineMark {
  readonly atMs: number;
  readonly node: string;
  readonly cluster: string;
  readonly what: string;
  readonly text: string;
}

export interface DrillRun {
  readonly number: number;
  readonly startedAtMs: number;
  readonly injectedAtMs: number;
  readonly liftedAtMs: number;
  readonly endedAtMs: number;
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
  readonly services: readonly ServiceResult[];
  readonly timeline: readonly TimelineMark[];
  readonly restoration: {
    readonly proved: boolean;
    /** "NODE MAP: before … after …" for each difference. */
    readonly differences: readonly string[];
  };
}

export interface Distribution {
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

export interface DrillReport {
  readonly version: typeof REPORT_VERSION;
  readonly id: string;
  readonly name: string;
  readonly hypothesis: string;
  /** As it was asked for, and the words that run it again. */
  readonly fault: { readonly kind: string; readonly cluster: string; readonly detail: string };
  readonly command: string;
  readonly seed: number;
  readonly software: Readonly<Record<string, string>>;
  /** Digest of the definition, so that reports of one drill are known. */
  readonly definitionDigest: string;
  readonly clusters: readonly string[];
  readonly verdict: Verdict;
  readonly runs: readonly DrillRun[];
  /** Over the runs; by the names of RecoveryTimes. */
  readonly distributions: Readonly<Record<string, Distribution>>;
}
