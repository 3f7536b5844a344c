import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rehearse, type Rehearsal } from "../../../../deploy/tour/rehearse.ts";
import { createTimeline } from "../../../../deploy/tour/timeline.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import type { DrillReport, DrillRun, Verdict } from "../../../../mesh/drill/report.ts";
import { createReportStore } from "../../../../mesh/drill/store.ts";

let home = "";
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), "tombolo-rehearse-"))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

const RUN: DrillRun = {
  number: 1,
  startedAtMs: 0,
  injectedAtMs: 3_000,
  liftedAtMs: 8_000,
  endedAtMs: 9_000,
  verdict: "PASS",
  reasons: [],
  services: [
    {
      service: "shop/cart",
      inScope: true,
      verdict: "PASS",
      reasons: [],
      objectives: {},
      times: { convergedMs: 512 },
      ledger: {
        requests: { sent: 400, answered: 391, failed: 9, hung: 0, duplicated: 0 },
        flows: { established: 0, survived: 0, reset: 0, hung: 0, moved: 0 },
      },
      latency: { beforeP50Ms: 1, beforeP99Ms: 1, duringP99Ms: 1, afterP99Ms: 1 },
      buckets: [],
    },
  ],
  timeline: [],
  restoration: { proved: true, differences: [] },
};

function reportOf(id: string, verdict: Verdict, runs: readonly DrillRun[]): DrillReport {
  return {
    version: 1,
    id,
    name: "tour",
    hypothesis: "",
    fault: { kind: "cluster-black-hole", cluster: "west", detail: "west" },
    command: "mesh drill run",
    seed: 1,
    software: {},
    definitionDigest: "",
    clusters: ["east", "west"],
    verdict,
    runs,
    distributions: {},
  };
}

interface Told {
  readonly text: string;
  readonly ran: readonly (readonly string[])[];
  readonly result: Rehearsal;
}

/** A `mesh` that saves one report after the other, and says something meanwhile. */
async function rehearseWith(reports: readonly DrillReport[]): Promise<Told> {
  let text = "";
  const ran: (readonly string[])[] = [];
  const output = { write: (part: string) => void (text += part), colour: false };
  const clock = { ...systemClock, monotonicMs: () => 0, sleep: () => Promise.resolve() };
  const store = createReportStore(join(home, "drills"));
  const result = await rehearse(
    { cluster: "west", service: "shop/cart" },
    {
      home,
      mesh: async (words, onStderr) => {
        const report = reports[ran.length];
        ran.push(words);
        onStderr("   0.1 s  lo");
        onStderr("ck\n   2.0 s  inject\n");
        if (report !== undefined) await store.save(report);
        return { status: 1, stdout: "", stderr: "mesh: Cannot drill: no NATS" };
      },
      timeline: createTimeline(output, clock),
      clock,
      signal: new AbortController().signal,
    },
  );
  return { text, ran, result };
}

describe("rehearse()", () => {
  test("tells phases as they come and the report's figures, and where the page is", async () => {
    const { text, ran, result } = await rehearseWith([reportOf("tour-1", "PASS", [RUN])]);
    expect(ran).toHaveLength(1);
    expect(ran[0]?.slice(0, 2)).toEqual(["drill", "run"]);
    expect(text).toContain("   0.0 s  lock\n   0.0 s  inject\n");
    expect(text).toContain("400 requests: 391 answered, 9 lost (9 failed, 0 hung)");
    expect(text).toContain(
      "drill PASS: recovered in 512 ms; of 400 requests 9 failed and 0 hung; restoration is proved",
    );
    expect(result.report.id).toBe("tour-1");
    expect(ran[0]).toContain(result.page);
    expect(existsSync(join(home, "drills"))).toBe(true);
  });

  test("asks again while the mesh is not steady, and takes no earlier tour's report", async () => {
    const store = createReportStore(join(home, "drills"));
    await store.save(reportOf("tour-0", "PASS", [RUN]));
    const failed = { ...RUN, restoration: { proved: false, differences: ["east/node1 routes"] } };
    const { text, ran, result } = await rehearseWith([
      reportOf("tour-1", "ABORTED", []),
      reportOf("tour-2", "FAIL", [failed]),
    ]);
    expect(ran).toHaveLength(2);
    expect(result.report.id).toBe("tour-2");
    expect(text).toContain("not steady yet");
    expect(text).toMatch(/drill FAIL: .*restoration is not proved/);
  });

  test("stops asking after a few times", async () => {
    const aborted = Array.from({ length: 9 }, (_, i) => reportOf(`tour-${i}`, "ABORTED", []));
    const { text, ran, result } = await rehearseWith(aborted);
    expect(ran).toHaveLength(5);
    expect(result.report.verdict).toBe("ABORTED");
    expect(text).toContain("drill ABORTED: nothing was touched");
  });

  test("says why there is no report", async () => {
    await expect(rehearseWith([])).rejects.toThrow(
      "Cannot run a drill: mesh: Cannot drill: no NATS",
    );
  });
});
