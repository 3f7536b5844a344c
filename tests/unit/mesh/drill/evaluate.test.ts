import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { CanaryOrder, CanaryRecord, KeptFlow } from "../../../../mesh/operations/questions.ts";
import {
  distributionsOf,
  evaluateServices,
  judgeRun,
  worstVerdict,
  type Evidence,
} from "../../../../mesh/drill/evaluate.ts";
import { planFault } from "../../../../mesh/drill/faults.ts";
import { definitionFromFlags } from "../../../../mesh/drill/definition-file.ts";
import type { DrillPlan } from "../../../../mesh/drill/plan.ts";
import type { DrillRun, Objectives } from "../../../../mesh/drill/report.ts";
import type { CanaryEvidence } from "../../../../mesh/drill/samples.ts";

const INJECTED_AT = 1_000_000;
const ORDER: CanaryOrder = {
  service: "shop/cart",
  target: "tcp:10.96.0.10:80",
  protocol: "connect",
  perSecond: 10,
  timeoutMs: 2_000,
  keepOne: true,
};

function planFor(objectives: Objectives): DrillPlan {
  const definition = definitionFromFlags({ fault: "cluster-black-hole", cluster: "west" });
  const clusters = ["east", "west"].map((name) => ({
    name,
    version: "",
    peers: [],
    nodes: [],
    silentNodes: [],
    services: [],
  }));
  const before = { shares: new Map([["west", 1]]), backends: 2, required: 1, enough: true };
  const after = { ...before, shares: new Map([["east", 1]]), backends: 1 };
  const sources = [{ cluster: "east", backends: 2, touched: 1, before, after }];
  return {
    effects: planFault(definition, { clusters }),
    services: [{ service: "shop/cart", inScope: true, objectives, sources }],
    notJudged: [],
    canaries: [],
    capacity: [],
    notes: [],
  };
}

function evidenceOf(
  records: readonly CanaryRecord[],
  kept: readonly KeptFlow[] = [],
  offsetMs = 0,
): Evidence {
  const canary: CanaryEvidence = {
    place: { cluster: "east", node: "east-node1" },
    order: ORDER,
    records,
    kept,
    clock: { offsetMs, uncertaintyMs: 1 },
  };
  return {
    injectedAtMs: INJECTED_AT,
    liftedAtMs: INJECTED_AT + 5_000,
    canaries: [canary],
    timeline: [],
  };
}

/** One every 100 ms from a second before the fault to two after its end. */
function story(fate: (ms: number) => Partial<CanaryRecord>, offsetMs = 0): CanaryRecord[] {
  return Array.from({ length: 80 }, (_, n) => {
    const ms = n * 100 - 1_000;
    const sentAtMs = INJECTED_AT + offsetMs + ms;
    return { n, sentAtMs, ms: 2, answer: "west/pod", error: "", duplicates: 0, ...fate(ms) };
  });
}

const HUNG = { answer: "", error: "hung", ms: 2_000 };
const FAILED = { answer: "", error: "ECONNREFUSED", ms: 1 };

function evaluate(records: readonly CanaryRecord[], objectives: Objectives = {}) {
  const [result] = evaluateServices(planFor(objectives), evidenceOf(records), undefined);
  if (result === undefined) throw new Error("no service");
  return result;
}

describe("evaluateServices()", () => {
  test("takes the recovery time apart", () => {
    const result = evaluate(
      story((ms) => {
        if (ms >= 0 && ms < 500) return HUNG;
        if (ms >= 500 && ms < 6_000) return { answer: "east/pod" };
        return {};
      }),
    );
    expect(result.times).toEqual({
      firstErrorMs: 0,
      firstSuccessMs: 502,
      convergedMs: 500,
      failbackMs: 1_002,
    });
    expect(result.ledger.requests).toMatchObject({ sent: 80, answered: 75, hung: 5 });
    expect(result.verdict).toBe("PASS");
  });

  test("is the same whatever the node's clock says", () => {
    const fate = (ms: number): Partial<CanaryRecord> => (ms >= 0 && ms < 500 ? HUNG : {});
    const plan = planFor({});
    const [here] = evaluateServices(plan, evidenceOf(story(fate)), undefined);
    const far = evidenceOf(story(fate, -7_200_000), [], -7_200_000);
    const [there] = evaluateServices(plan, far, undefined);
    expect(there).toEqual(here);
  });

  test("never recovered: no convergence, and a sentence", () => {
    const result = evaluate(
      story((ms) => (ms >= 0 && ms < 5_000 ? FAILED : {})),
      { rtoMs: 1_000 },
    );
    expect(result.times.convergedMs).toBeUndefined();
    expect(result.reasons).toEqual(["Requests went on failing until the fault was lifted"]);
  });

  for (const [objective, sentence] of [
    [{ rtoMs: 300 }, "Recovery took: 500 ms, at most 300 ms was promised"],
    [{ maxLostRequests: 4 }, "Requests lost: 5, at most 4 was promised"],
    [{ maxErrorRatio: 0.01 }, "Share of errors: 0.071, at most 0.01 was promised"],
    [{ failbackRtoMs: 1 }, "Failback took: 2 ms, at most 1 ms was promised"],
    [{ maxP99Ms: 1 }, "p99 during the fault: 2 ms, at most 1 ms was promised"],
    [{ rtoMs: 500, maxLostRequests: 5, maxHungFlows: 0 }, undefined],
  ] as const) {
    test(`${JSON.stringify(objective)}: ${sentence ?? "kept"}`, () => {
      const result = evaluate(
        story((ms) => (ms >= 0 && ms < 500 ? FAILED : {})),
        objective,
      );
      expect(result.reasons).toEqual(sentence === undefined ? [] : [sentence]);
      expect(result.verdict).toBe(sentence === undefined ? "PASS" : "FAIL");
    });
  }

  test("traffic that moves though nothing may move fails, beyond chance only", () => {
    const split = (share: number) => (ms: number) => ({
      answer: (ms / 100 + 100) % 10 < share * 10 ? "west/pod" : "east/pod",
    });
    const still = evaluate(story(split(0.5)), { maxMovedRatio: 0 });
    expect(still.verdict).toBe("PASS");
    const moved = evaluate(
      story((ms) => (ms < 0 ? {} : { answer: "east/pod" })),
      { maxMovedRatio: 0 },
    );
    expect(moved.reasons[0]).toMatch(/^Share of answers that moved to other clusters: 0.7,/);
  });

  test("tells survived, reset, moved and hung connections apart", () => {
    const flow = (answer: string, end: KeptFlow["end"], ended = 300): KeptFlow[] => [
      {
        openedAtMs: INJECTED_AT - 900,
        answer,
        endedAtMs: end === "" ? -1 : INJECTED_AT + ended,
        end,
      },
    ];
    const next = (answer: string): KeptFlow => ({
      openedAtMs: INJECTED_AT + 301,
      answer,
      endedAtMs: -1,
      end: "",
    });
    const fates = [
      flow("west", ""),
      [...flow("west", "reset"), next("west")],
      [...flow("west", "reset"), next("east")],
      flow("west", "hung"),
      // Ended before the fault: it is not the fault's business.
      [...flow("west", "closed", -100)],
    ];
    const base = evidenceOf(story(() => ({})));
    const canaries = fates.map((kept) => ({ ...evidenceOf([], kept).canaries[0], kept }));
    const evidence = { ...base, canaries: canaries as CanaryEvidence[] };
    const [result] = evaluateServices(planFor({}), evidence, undefined);
    const flows = { established: 4, survived: 1, reset: 1, moved: 1, hung: 1 };
    expect(result?.ledger.flows).toEqual(flows);
  });

  test("every request and every flow is in exactly one place, whatever happened", () => {
    const record = fc.record({
      sentAtMs: fc.integer({ min: INJECTED_AT - 3_000, max: INJECTED_AT + 9_000 }),
      ms: fc.integer({ min: -1, max: 3_000 }),
      answer: fc.constantFrom("", "east/a", "west/b", "west"),
      error: fc.constantFrom("", "", "hung", "ECONNREFUSED", "ECONNRESET"),
      duplicates: fc.integer({ min: 0, max: 2 }),
    });
    const flow = fc.record({
      openedAtMs: fc.integer({ min: INJECTED_AT - 3_000, max: INJECTED_AT + 3_000 }),
      answer: fc.constantFrom("", "east", "west/b"),
      endedAtMs: fc.oneof(
        fc.constant(-1),
        fc.integer({ min: INJECTED_AT, max: INJECTED_AT + 9_000 }),
      ),
      end: fc.constantFrom<KeptFlow["end"]>("", "closed", "reset", "hung"),
    });
    fc.assert(
      fc.property(fc.array(record), fc.array(flow), fc.integer(), (records, kept, offset) => {
        const numbered = records.map((one, n) => ({ ...one, n }));
        const evidence = evidenceOf(numbered, kept, offset % 10_000);
        const [result] = evaluateServices(planFor({ rtoMs: 1_000 }), evidence, undefined);
        if (result === undefined) throw new Error("no service");
        const { requests, flows } = result.ledger;
        const { sent, answered, failed, hung, duplicated } = requests;
        expect(sent).toBe(records.length);
        expect(answered + failed + hung + duplicated).toBe(sent);
        expect(flows.survived + flows.reset + flows.hung + flows.moved).toBe(flows.established);
        const inBuckets = result.buckets.reduce(
          (sum, bucket) =>
            sum +
            bucket.failed +
            bucket.hung +
            Object.values(bucket.answered).reduce((a, b) => a + b, 0),
          0,
        );
        expect(inBuckets).toBe(sent);
        const { firstErrorMs = 0, convergedMs = Infinity } = result.times;
        expect(convergedMs).toBeGreaterThanOrEqual(0);
        expect(firstErrorMs).toBeGreaterThanOrEqual(0);
        expect(result.verdict === "PASS").toBe(result.reasons.length === 0);
      }),
    );
  });
});

describe("judgeRun()", () => {
  const services = evaluateServices(planFor({}), evidenceOf(story(() => ({}))), undefined);

  test("what was left behind fails it, and an early end is said first", () => {
    const left = { proved: false, differences: ["a"] };
    const proved = { proved: true, differences: [] };
    expect(judgeRun(services, { ending: undefined, restoration: proved }).verdict).toBe("PASS");
    expect(judgeRun(services, { ending: undefined, restoration: left })).toEqual({
      verdict: "FAIL",
      reasons: ["The datapath is not what it was before the drill"],
    });
    const ending = { verdict: "INTERRUPTED", reason: "A real failure" } as const;
    const judged = judgeRun(services, { ending, restoration: left });
    expect(judged.verdict).toBe("INTERRUPTED");
    expect(judged.reasons[0]).toBe("A real failure");
  });
});

describe("distributionsOf()", () => {
  test("takes the slowest service of each run", () => {
    const runs = [100, 300, 200].map((convergedMs): DrillRun => {
      const [service] = evaluateServices(planFor({}), evidenceOf(story(() => ({}))), undefined);
      if (service === undefined) throw new Error("no service");
      const slow = { ...service, times: { convergedMs } };
      const fast = { ...service, times: { convergedMs: 1 } };
      const run = { number: 1, startedAtMs: 0, injectedAtMs: 0, liftedAtMs: 0, endedAtMs: 0 };
      const restoration = { proved: true, differences: [] };
      const said = { verdict: "PASS", reasons: [], timeline: [], restoration } as const;
      return { ...run, ...said, services: [slow, fast] };
    });
    expect(distributionsOf(runs)).toEqual({ convergedMs: { p50: 200, p95: 300, max: 300 } });
  });
});

describe("worstVerdict()", () => {
  test("a failure is worse than an interruption, and nothing is worse than no run", () => {
    expect(worstVerdict(["PASS", "INTERRUPTED", "FAIL"])).toBe("FAIL");
    expect(worstVerdict(["PASS", "ABORTED"])).toBe("ABORTED");
    expect(worstVerdict([])).toBe("PASS");
  });
});
