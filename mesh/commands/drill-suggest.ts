// `mesh drill suggest`: what ought to be drilled.
import { isMeshError, messageFromError } from "../core/errors.ts";
import { STALE_DAYS } from "../drill/coverage.ts";
import { gatherFacts } from "../drill/facts.ts";
import { suggestDrills } from "../drill/suggest.ts";
import { formatJson, parseOutputFormat, styled } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { fetchReports, openReports } from "./drill-history.ts";
import { MESH_FLAGS, MESH_HELP, withDrillMesh } from "./drill-mesh.ts";
import { parseNumber } from "./drill-options.ts";

const USAGE = `Usage: mesh drill suggest [--stale DAYS] [--context NAME]... [--output table|json]

Names services that one cluster or node takes away, and failover that is configured but was never
drilled, or not for long: by the reports of this machine and those that the first cluster's stream
holds. The coverage counts edges: clients of a cluster, a service, and the
cluster that they would fail over from.

  --stale DAYS  a drill older than this counts no more (30)
${MESH_HELP}  --output      table (default) or json

Example:
  mesh drill suggest
`;

const FLAGS = {
  stale: { type: "string" },
  ...MESH_FLAGS,
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
    const staleDays = parseNumber("stale", values.stale, 10_000) ?? STALE_DAYS;
    return withDrillMesh(values, context, async ({ mesh, connection, cluster }) => {
      const { clock, signal, stdout } = context;
      const facts = await gatherFacts(mesh, { clock, signal });
      const store = openReports(context);
      await fetchReports(connection, store, signal).catch((error: unknown) => {
        if (isMeshError(error, "aborted")) throw error;
        const reason = messageFromError(error);
        context.stderr.write(
          `drill: what others drilled with ${cluster} is not known: ${reason}\n`,
        );
      });
      const found = suggestDrills(facts, await store.list(), { nowMs: clock.nowMs(), staleDays });
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
