// `mesh drill compare`: what got worse between two drills.
import { compareReports, type Difference } from "../drill/compare.ts";
import { formatJson, formatTable, parseOutputFormat, styled } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { openReports } from "./drill-history.ts";
import { parseNumber } from "./drill-options.ts";

const USAGE = `Usage: mesh drill compare BEFORE AFTER [--tolerance PERCENT] [--output table|json]

Compares two drills, by ids or names. The exit status is 1 if a figure is worse by more than the
tolerance (and, of times, by more than 20 ms), or if the verdict was PASS and is not.

  --tolerance  percent (20)
  --output     table (default) or json

Example:
  mesh drill compare cluster-black-hole-west latest --tolerance 10
`;

const FLAGS = { tolerance: { type: "string" }, output: { type: "string" } } as const;

export const drillCompareCommand: Command = {
  name: "drill compare",
  summary: "what got worse between two drills; fails on a regression",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    const [before, after, ...more] = positionals;
    if (before === undefined || after === undefined || more.length > 0) {
      throw usageError("Cannot compare: want two drills", USAGE);
    }
    const tolerance = parseNumber("tolerance", values.tolerance, 10_000) ?? 20;
    const reports = openReports(context);
    const pair = [await reports.find(before), await reports.find(after)] as const;
    const comparison = compareReports(...pair, tolerance);
    const { stdout } = context;
    if (format === "json") stdout.write(formatJson(comparison));
    else {
      stdout.write(formatTable(COLUMNS, comparison.differences));
      if (!comparison.sameDrill) {
        stdout.write(`${styled(stdout, "yellow", "!")} they are drills of different definitions\n`);
      }
      stdout.write(`${pair[0].id}: ${pair[0].verdict}; ${pair[1].id}: ${pair[1].verdict}\n`);
    }
    return comparison.regression ? 1 : 0;
  },
};

const COLUMNS = [
  { header: "FIGURE", text: ({ what }: Difference) => what },
  { header: "BEFORE", align: "right", text: ({ before }: Difference) => round(before) },
  { header: "AFTER", align: "right", text: ({ after }: Difference) => round(after) },
  { header: "CHANGE", align: "right", text: changeOf },
  { header: "", text: ({ regression }: Difference) => (regression ? "worse" : "") },
] as const;

function changeOf({ growthPercent }: Difference): string {
  if (!Number.isFinite(growthPercent)) return "new";
  return `${growthPercent > 0 ? "+" : ""}${Math.round(growthPercent)} %`;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}
