// The report as JUnit XML, as continuous integration reads it: a suite a run, a case a service, and
// one for the restoration.
import { escapeHtml } from "./html/markup.ts";
import type { DrillReport, DrillRun, ServiceResult } from "./report.ts";

/** A whole document. Verdicts other than PASS are failures; what was not tried is skipped. */
export function renderJunit(report: DrillReport): string {
  const suites = report.runs.map((run) => suite(report, run));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: `drill ${report.name}` })}>`,
    ...suites,
    "</testsuites>",
    "",
  ].join("\n");
}

function suite(report: DrillReport, run: DrillRun): string {
  const cases = [
    ...run.services.map((service) => serviceCase(report, { run, service })),
    restorationCase(report, run),
    ...(run.verdict === "PASS" || run.services.some(({ verdict }) => verdict !== "PASS")
      ? []
      : [verdictCase(report, run)]),
  ];
  const texts = cases.map(({ text }) => text);
  return [
    `  <testsuite${attributes({
      name: `${report.name} run ${run.number}`,
      timestamp: new Date(run.startedAtMs).toISOString().slice(0, 19),
      time: seconds(run.endedAtMs - run.startedAtMs),
      tests: cases.length,
      failures: cases.filter(({ failed }) => failed).length,
      errors: 0,
      skipped: 0,
    })}>`,
    ...texts,
    "  </testsuite>",
  ].join("\n");
}

interface Case {
  readonly failed: boolean;
  readonly text: string;
}

function serviceCase(
  report: DrillReport,
  { run, service }: { readonly run: DrillRun; readonly service: ServiceResult },
): Case {
  const scope = service.inScope ? "in scope" : "outside the scope";
  return testCase(report, {
    name: `${service.service} (${scope})`,
    ms: run.endedAtMs - run.startedAtMs,
    failure:
      service.verdict === "PASS"
        ? undefined
        : { type: service.verdict, text: service.reasons.join("; ") },
  });
}

function restorationCase(report: DrillReport, { restoration }: DrillRun): Case {
  return testCase(report, {
    name: "the datapath is as it was",
    ms: 0,
    failure: restoration.proved
      ? undefined
      : { type: "FAIL", text: restoration.differences.join("; ") },
  });
}

/** A run that failed although each service passed says why by itself. */
function verdictCase(report: DrillReport, run: DrillRun): Case {
  return testCase(report, {
    name: "the run as a whole",
    ms: 0,
    failure: { type: run.verdict, text: run.reasons.join("; ") },
  });
}

function testCase(
  report: DrillReport,
  result: {
    readonly name: string;
    readonly ms: number;
    readonly failure: { readonly type: string; readonly text: string } | undefined;
  },
): Case {
  const { name, ms, failure } = result;
  const open = `    <testcase${attributes({
    classname: `drill.${report.fault.kind}.${report.fault.cluster}`,
    name,
    time: seconds(ms),
  })}`;
  if (failure === undefined) return { failed: false, text: `${open}/>` };
  const message = attributes({ type: failure.type, message: failure.text || failure.type });
  return { failed: true, text: `${open}>\n      <failure${message}/>\n    </testcase>` };
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeXml(String(value))}"`)
    .join("");
}

/** XML 1.0 has no place for most control characters, escaped or not. */
function escapeXml(text: string): string {
  const allowed = Array.from(text, (letter) => {
    const isControl = letter < " " && !"\t\n\r".includes(letter);
    return isControl ? "\ufffd" : letter;
  });
  return escapeHtml(allowed.join(""));
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}
