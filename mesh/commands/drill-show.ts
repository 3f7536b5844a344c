// `mesh drill show`: one report, in words or as the files that `mesh drill run` writes.
import { writeFile } from "node:fs/promises";
import { renderHtml } from "../drill/report-html.ts";
import { renderJunit } from "../drill/report-junit.ts";
import { summarize } from "../drill/summary.ts";
import { formatJson, parseOutputFormat, styled } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { openReports } from "./drill-history.ts";

const USAGE = `Usage: mesh drill show DRILL [--report FILE] [--junit FILE] [--output table|json]

Shows one drill with its timeline. DRILL is an id, a name (its latest), or "latest". The exit status
is 0 for PASS, otherwise 1.

  --report FILE  the report as a page
  --junit FILE   the report for CI
  --output       table (default) or json

Example:
  mesh drill show latest
`;

const FLAGS = {
  report: { type: "string" },
  junit: { type: "string" },
  output: { type: "string" },
} as const;

export const drillShowCommand: Command = {
  name: "drill show",
  summary: "one drill's report, with its timeline",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    const [wanted, ...more] = positionals;
    if (wanted === undefined || more.length > 0) {
      throw usageError("Cannot show a drill: want one id, name or latest", USAGE);
    }
    const report = await openReports(context).find(wanted);
    if (values.report !== undefined) await writeFile(values.report, renderHtml(report));
    if (values.junit !== undefined) await writeFile(values.junit, renderJunit(report));
    const { stdout } = context;
    if (format === "json") stdout.write(formatJson(report));
    else stdout.write(summarize(report, (style, text) => styled(stdout, style, text)));
    return report.verdict === "PASS" ? 0 : 1;
  },
};
