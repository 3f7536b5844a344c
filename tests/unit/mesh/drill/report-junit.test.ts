import { describe, expect, test } from "@jest/globals";
import { renderJunit } from "../../../../mesh/drill/report-junit.ts";
import { drillReport, drillRun, serviceResult } from "../../../fakes/drill-report.ts";

describe("renderJunit", () => {
  test("has a suite a run and a case a service, and one for the restoration", () => {
    const xml = renderJunit(drillReport({ runs: [drillRun(), drillRun({ number: 2 })] }));
    expect(xml.match(/<testsuite /g)).toHaveLength(2);
    expect(xml.match(/<testcase /g)).toHaveLength(6);
    expect(xml).toContain('tests="3" failures="0"');
  });

  test("says why a service failed, escaped, without characters that XML has not", () => {
    const reasons = [`RTO "1700 ms" > 1000 ms & \u0001 more`];
    const failed = serviceResult({ verdict: "FAIL", reasons });
    const xml = renderJunit(drillReport({ runs: [drillRun({ services: [failed] })] }));
    expect(xml).toContain(`message="RTO &quot;1700 ms&quot; &gt; 1000 ms &amp; \ufffd more"`);
    expect(xml).toContain('failures="1"');
  });

  test("fails a run that was cut short although its services had passed", () => {
    const run = drillRun({ verdict: "INTERRUPTED", reasons: ["north is down"] });
    const xml = renderJunit(drillReport({ runs: [run] }));
    expect(xml).toContain('type="INTERRUPTED" message="north is down"');
    expect(xml).toContain('failures="1"');
  });

  test("fails when restoration is not proved", () => {
    const restoration = { proved: false, differences: ["east-node1 groups: before a after b"] };
    const xml = renderJunit(drillReport({ runs: [drillRun({ restoration })] }));
    expect(xml).toContain('message="east-node1 groups: before a after b"');
  });
});
