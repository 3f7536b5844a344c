// What `npm start` shows, on a lab of its own: it tells the truth, and can be run again. What it says
// of the drill is what stands in the drill's report.
import { afterAll, describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { createTimeline } from "../../deploy/tour/timeline.ts";
import { runTour } from "../../deploy/tour/tour.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import type { DrillReport } from "../../mesh/drill/report.ts";
import { collect, createTestLab, mustSucceed, never, UP_LIMIT_MS } from "./test-lab.ts";

const lab = createTestLab("tour");
/** Bringing up is half of it; the drill watches for as long as it says. */
const TOUR_LIMIT_MS = 2 * UP_LIMIT_MS;

afterAll(() => lab.remove(), UP_LIMIT_MS);

/** The cluster was away, requests recovered, nothing hung, nothing is left; and it is told so. */
function checkDrill({ verdict, fault, runs }: DrillReport, text: string): void {
  expect({ verdict, reasons: runs[0]?.reasons }).toEqual({ verdict: "PASS", reasons: [] });
  expect(fault).toMatchObject({ kind: "cluster-black-hole", cluster: "west" });
  expect(runs).toHaveLength(1);
  const cart = runs[0]?.services.find(({ inScope }) => inScope);
  expect(runs[0]?.restoration).toEqual({ proved: true, differences: [] });
  expect(cart?.service).toBe("shop/cart");
  const { failed = 0, hung, sent = 0 } = cart?.ledger.requests ?? {};
  expect(hung).toBe(0);
  // Without a failure there was no fault; connections that nobody ends would be half of all.
  expect(failed).toBeGreaterThan(0);
  expect(failed).toBeLessThan(sent / 4);
  const { convergedMs = NaN, detectedMs, failbackMs } = cart?.times ?? {};
  expect(convergedMs).toBeGreaterThan(0);
  expect([typeof detectedMs, typeof failbackMs]).toEqual(["number", "number"]);
  expect(text).toContain(
    `drill PASS: recovered in ${Math.round(convergedMs)} ms; of ${sent} requests ${failed} failed ` +
      "and 0 hung; restoration is proved",
  );
}

describe("runTour()", () => {
  for (const time of ["first", "second"]) {
    test(
      `shows answers from both clusters, and requests that go on, the ${time} time`,
      async () => {
        let text = "";
        const output = { write: (part: string) => void (text += part), colour: false };
        const { whole, drill, page } = await runTour({
          home: lab.home,
          labName: lab.name,
          mesh: (words, onStderr) => {
            const child = lab.startMesh(words);
            child.stderr?.setEncoding("utf8").on("data", (part: string) => onStderr?.(part));
            return collect(child);
          },
          timeline: createTimeline(output, systemClock),
          clock: systemClock,
          signal: never,
        });
        expect(text).toContain("first answer from east/cart-");
        expect(text).toContain("first answer from west/cart-");
        expect(text).toMatch(/requests went on: \d+ sent, none failed/);
        expect(text).toMatch(/east answers again, \d+ ms after/);
        for (const phase of ["baseline", "inject", "observe", "lift", "failback"])
          expect(text).toContain(phase);
        checkDrill(drill, text);
        expect(readFileSync(page, "utf8")).toContain(drill.id);
        const kept = mustSucceed(await lab.mesh(["drill", "show", drill.id, "--output", "json"]));
        expect(JSON.parse(kept)).toEqual(drill);
        expect(whole).toBe(true);
      },
      TOUR_LIMIT_MS,
    );
  }
});
