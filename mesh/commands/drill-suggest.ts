// `mesh drill suggest`: what ought to be drilled.
import { gatherFacts } from "../drill/facts.ts";
import { suggestDrills } from "../drill/suggest.ts";
import { formatJson, parseOutputFormat, styled } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { openReports } from "./drill-history.ts";
import { withDrillMesh } from "./drill-mesh.ts";
import { parseNumber } from "./drill-options.ts";

const USAGE = `Usage: mesh drill suggest [--stale DAYS] [--context NAME]... [--output table|json]

Names services that one cluster or node takes away, and failover that is configured but was never
drilled, or not for long. The coverage counts edges: clients of a cluster, a service, and the
cluster that they would fail over from.

  --stale DAYS  a drill older than this counts no more (30)
  --context     a context of this machine, again for more; all of them by default
  --output      table (default) or json

Example:
  mesh drill suggest
`;

const FLAGS = {
  stale: { type: "string" },
  context: { type: "string", multiple: true },
  output: { type: "string" },
} as const;

export const drillSuggestCommand: Command = {
  name: "drill suggest",
  summary: "single points of failure, and failover that was never drilled",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": want flags only`, USAGE);
    }
    const staleDays = parseNumber("stale", values.stale, 10_000) ?? 30;
    return withDrillMesh(values.context ?? [], context, async ({ mesh }) => {
      const { clock, signal, stdout } = context;
      const facts = await gatherFacts(mesh, { clock, signal });
      const reports = await openReports(context).list();
      const found = suggestDrills(facts, reports, { nowMs: clock.nowMs(), staleDays });
      if (format === "json") {
        stdout.write(formatJson(found));
        return 0;
      }
      for (const { text, command } of found.suggestions) {
        stdout.write(`${styled(stdout, "yellow", "!")} ${text}\n`);
        if (command !== "") stdout.write(`  ${command}\n`);
      }
      const { configured, tested, fresh } = found.coverage;
      stdout.write(`${tested} of ${configured} failover edges were drilled, `);
      stdout.write(`${fresh} of them in the last ${staleDays} days\n`);
      return 0;
    });
  },
};
