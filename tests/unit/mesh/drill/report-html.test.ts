import { describe, expect, test } from "@jest/globals";
import { renderHtml } from "../../../../mesh/drill/report-html.ts";
import { drillReport, drillRun, serviceResult } from "../../../fakes/drill-report.ts";

describe("renderHtml", () => {
  test("is one document that fetches nothing", () => {
    const page = renderHtml(drillReport());
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<script|<link|src=|@import|url\(/);
  });

  test("escapes every text of the report", () => {
    const evil = `<b onclick="x">&'`;
    const page = renderHtml(
      drillReport({
        name: evil,
        runs: [drillRun({ services: [serviceResult({ service: evil })] })],
      }),
    );
    expect(page).not.toContain("<b onclick");
    expect(page).toContain("&lt;b onclick=&quot;x&quot;&gt;&amp;&#39;");
  });

  test("names what was missed, with the limit beside it", () => {
    const times = { convergedMs: 1_700 };
    const missed = serviceResult({ verdict: "FAIL", reasons: ["RTO was missed"], times });
    const page = renderHtml(drillReport({ runs: [drillRun({ services: [missed] })] }));
    expect(page).toContain("RTO was missed");
    expect(page).toMatch(
      /recovery time<\/td><td class="number">1\.0 s<\/td><td class="number bad">1\.7 s/,
    );
  });

  test("does without runs, buckets and times", () => {
    expect(renderHtml(drillReport({ runs: [], verdict: "CAPACITY_CHECK_FAILED" }))).toContain(
      "CAPACITY CHECK FAILED",
    );
    const bare = serviceResult({ buckets: [], times: {} });
    expect(renderHtml(drillReport({ runs: [drillRun({ services: [bare] })] }))).toContain(
      "shop/cart",
    );
  });

  test("shows each run and how they are spread when there are several", () => {
    const runs = [drillRun(), drillRun({ number: 2, verdict: "FAIL" })];
    const page = renderHtml(drillReport({ runs }));
    expect(page).toContain("run 1 of 2");
    expect(page).toMatch(/nothing fails any more \(RTO\)<\/td><td class="number">612 ms/);
  });
});
