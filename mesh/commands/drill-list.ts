// `mesh drill list`: the drills that were run, and how one of them has gone over time.
import { trendOf, type TrendPoint } from "../drill/compare.ts";
import type { DrillReport } from "../drill/report.ts";
import { formatMs, paintVerdict } from "../drill/summary.ts";
import { formatJson, formatTable, parseOutputFormat, styled, type Output } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { fetchReports, openReports } from "./drill-history.ts";
import { MESH_FLAGS, withDrillMesh } from "./drill-mesh.ts";
import { CONTEXT_HELP } from "./select-context.ts";

const USAGE = `Usage: mesh drill list [--trend NAME] [--context NAME]... [--output table|json]

Shows the drills that were run from this machine, oldest first. INTERRUPTED is also a drill whose
coordinator died.

  --trend NAME  one drill's recovery time, failback and lost requests over time
  --context     take over first what the clusters of these contexts have kept
${CONTEXT_HELP}  --output      table (default) or json

Examples:
  mesh drill list
  mesh drill list --trend cluster-black-hole-west --output json
`;

const FLAGS = {
  trend: { type: "string" },
  ...MESH_FLAGS,
  output: { type: "string" },
} as const;

export const drillListCommand: Command = {
  name: "drill list",
  summary: "drills that were run, and how they have gone over time",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    if (positionals.length > 0) {
      throw usageError(`Cannot list "${positionals[0]}": use \`mesh drill show\``, USAGE);
    }
    const reports = openReports(context);
    const show = async (): Promise<number> => {
      const all = await reports.list();
      const { trend } = values;
      const shown = trend === undefined ? all.map(lineOf) : trendOf(all, trend);
      context.stdout.write(
        format === "json" ? formatJson(shown) : formatPoints(shown, context.stdout),
      );
      return 0;
    };
    if (values.context === undefined) return show();
    return withDrillMesh(values, context, async ({ connection }) => {
      await fetchReports(connection, reports, context.signal);
      return show();
    });
  },
};

function lineOf(report: DrillReport): TrendPoint {
  const [point] = trendOf([report], report.name);
  if (point === undefined) throw new Error("Unreachable: a report is of its own name");
  return point;
}

function formatPoints(points: readonly TrendPoint[], output: Output): string {
  if (points.length === 0) return "no drill has been run\n";
  return formatTable<TrendPoint>(
    [
      { header: "DRILL", text: ({ id }) => id },
      { header: "AT", text: ({ atMs }) => new Date(atMs).toISOString().slice(0, 19) },
      { header: "RUNS", align: "right", text: ({ runs }) => String(runs) },
      { header: "RTO P95", align: "right", text: ({ rtoMs }) => time(rtoMs) },
      { header: "FAILBACK P95", align: "right", text: ({ failbackMs }) => time(failbackMs) },
      { header: "LOST A RUN", align: "right", text: ({ lost }) => String(Math.round(lost)) },
      // The last column: colour has no width, but a table counts its letters.
      {
        header: "VERDICT",
        text: ({ verdict }) => paintVerdict(verdict, (style, text) => styled(output, style, text)),
      },
    ],
    points,
  );
}

function time(ms: number | undefined): string {
  return ms === undefined ? "-" : formatMs(ms);
}
