// `mesh drill run`: runs a drill, tells where it stands, and says what was found.
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { MeshError } from "../core/errors.ts";
import { silentLogger } from "../core/logger.ts";
import { askQuietly } from "../drill/ask-quietly.ts";
import type { DrillDefinition } from "../drill/definition.ts";
import { parseDefinitions } from "../drill/definition-file.ts";
import { runDrill } from "../drill/drill.ts";
import { APISERVER, type DrillMesh } from "../drill/drill-mesh.ts";
import type { DrillObserver } from "../drill/observer.ts";
import { renderHtml } from "../drill/report-html.ts";
import { renderJunit } from "../drill/report-junit.ts";
import type { DrillReport } from "../drill/report.ts";
import { runSchedule } from "../drill/schedule.ts";
import { summarize } from "../drill/summary.ts";
import { createEventSink } from "../operations/event-sink.ts";
import { formatJson, parseOutputFormat, styled, type OutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { openReports, publishReport } from "./drill-history.ts";
import { withDrillMesh, type OpenDrillMesh } from "./drill-mesh.ts";
import {
  DEFINITION_FLAGS,
  DEFINITION_HELP,
  definitionFlags,
  parseNumber,
  readDefinition,
  readText,
} from "./drill-options.ts";

const USAGE = `Usage: mesh drill run FILE [--runs N] [--report FILE] [--junit FILE] [--json FILE]
       mesh drill run --fault KIND --cluster NAME [FLAGS]
       mesh drill run --schedule FILE

Finds out what a failure costs: checks that the mesh is steady and that the survivors can carry the
load, makes the failure in the datapath, watches numbered requests and what nodes decide, lifts it,
proves that nothing is left behind, and judges every service by its objectives. Faults end by
themselves within seconds when nobody renews them. Ctrl-C lifts first. docs/drills.md has the file.

The exit status is 0 for PASS, 1 for any other verdict, 2 for bad input.

${DEFINITION_HELP}  --runs N            so many times, with distributions at the end
  --report FILE       the report as a page; --junit FILE for CI, --json FILE for machines
  --schedule          the file's drills at their times, until interrupted
  --output            table (default) or json

Examples:
  mesh drill run --fault cluster-black-hole --cluster west --rto 1s
  mesh drill run --fault cluster-refuse --cluster west --runs 20 --report west.html
`;

const FLAGS = {
  ...DEFINITION_FLAGS,
  runs: { type: "string" },
  report: { type: "string" },
  junit: { type: "string" },
  json: { type: "string" },
  schedule: { type: "string" },
  output: { type: "string" },
} as const;

interface Outputs {
  readonly report?: string | undefined;
  readonly junit?: string | undefined;
  readonly json?: string | undefined;
  readonly format: OutputFormat;
}

export const drillRunCommand: Command = {
  name: "drill run",
  summary: "run a drill: fail over on purpose, and measure what it costs",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const { report, junit, json } = values;
    const outputs = { report, junit, json, format: parseOutputFormat(values.output) };
    if (values.schedule !== undefined) {
      if (positionals.length > 0 || values.fault !== undefined) {
        throw usageError("Cannot use --schedule with another drill: it names a file", USAGE);
      }
      const definitions = parseDefinitions(values.schedule, await readText(values.schedule));
      checkScheduled(values.schedule, definitions);
      return withDrillMesh(values, context, (open) =>
        followSchedule(definitions, { open, context, file: values.schedule ?? "" }),
      );
    }
    const wanted = await readDefinition(positionals, definitionFlags(values), USAGE);
    const runs = parseNumber("runs", values.runs, 1_000);
    if (runs === 0) throw usageError("Cannot run 0 times: want --runs 1 or more", USAGE);
    const definition = { ...wanted, runs: runs ?? wanted.runs };
    return withDrillMesh(values, context, async (open) => {
      const done = await drillOnce(definition, { open, context, words: wordsOf(context.argv) });
      await writeReports(done, outputs);
      const { stdout } = context;
      if (outputs.format === "json") stdout.write(formatJson(done));
      else stdout.write(summarize(done, (style, text) => styled(stdout, style, text)));
      return done.verdict === "PASS" ? 0 : 1;
    });
  },
};

async function drillOnce(
  definition: DrillDefinition,
  { open, context, words }: { open: OpenDrillMesh; context: CommandContext; words: string },
): Promise<DrillReport> {
  const { mesh, cluster, connection } = open;
  const { clock, random, signal } = context;
  const observer = createDrillObserver(context);
  const reports = openReports(context);
  const always = new AbortController().signal;
  const events = createEventSink({
    cluster,
    node: APISERVER,
    connection,
    clock,
    log: silentLogger,
    newId: () => randomUUID(),
  });
  const tell = (report: DrillReport, from: string, to: string): void => {
    const { id, fault, verdict } = report;
    const text = `Drill ${definition.name} (${fault.kind}, ${fault.detail}): ${to}`;
    const severity = to === "begun" || verdict === "PASS" ? "info" : "warning";
    const runs = report.runs.length;
    events.emit({ kind: "drill", severity, subject: id, from, to, text, evidence: { runs } });
  };
  let begun = false;
  const report = await runDrill({
    mesh,
    definition,
    clock,
    random,
    observer,
    holder: `mesh on ${hostname()}, process ${process.pid}`,
    command: words,
    software: await readSoftware(mesh, signal),
    save: async (draft) => {
      await reports.save(draft);
      if (!begun) tell(draft, "", "begun");
      begun = true;
    },
    signal,
  });
  tell(report, "begun", report.verdict);
  const problem = await publishReport(connection, report, { cluster, ended: true, signal: always });
  if (problem !== undefined) observer.note(`The report is kept in files only: ${problem}`);
  return report;
}

/** What each cluster runs, by its apiserver. */
async function readSoftware(
  mesh: DrillMesh,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const versions = await Promise.all(
    mesh.clusters.map(async (cluster) => {
      const place = { cluster, node: APISERVER };
      const hello = await askQuietly(mesh, place, { ask: "hello" }, signal);
      return [`tombolo of ${cluster}`, hello?.version ?? ""] as const;
    }),
  );
  return Object.fromEntries([...versions, ["node.js", process.version]]);
}

async function followSchedule(
  definitions: readonly DrillDefinition[],
  parts: { readonly open: OpenDrillMesh; readonly context: CommandContext; readonly file: string },
): Promise<number> {
  const { open, context, file } = parts;
  const say = (text: string): void => context.stderr.write(`schedule: ${text}\n`);
  const run = async (definition: DrillDefinition): Promise<void> => {
    const report = await drillOnce(definition, { open, context, words: `mesh drill run ${file}` });
    say(`${report.id}: ${report.verdict}`);
  };
  await runSchedule(definitions, { clock: context.clock, run, note: say }, context.signal);
  return 0;
}

function checkScheduled(file: string, definitions: readonly DrillDefinition[]): void {
  const without = definitions.find(({ schedule }) => schedule === undefined);
  if (without === undefined) return;
  throw new MeshError(
    "invalid_argument",
    `Cannot use ${file}: "${without.name}" has no schedule; want "schedule: { every: week, … }"`,
  );
}

/** The words that were typed, without a seed: the report adds its own. */
function wordsOf(argv: readonly string[]): string {
  const rest = argv.filter(
    (word, i) => word !== "--seed" && argv[i - 1] !== "--seed" && !word.startsWith("--seed="),
  );
  return ["mesh", ...rest]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`))
    .join(" ");
}

async function writeReports(report: DrillReport, outputs: Outputs): Promise<void> {
  if (outputs.report !== undefined) await writeFile(outputs.report, renderHtml(report));
  if (outputs.junit !== undefined) await writeFile(outputs.junit, renderJunit(report));
  if (outputs.json !== undefined) await writeFile(outputs.json, formatJson(report));
}

/** A line for each phase, with the seconds since the drill began. */
function createDrillObserver({ stderr, clock }: CommandContext): DrillObserver {
  const beganMs = clock.monotonicMs();
  const say = (text: string): void => {
    const seconds = ((clock.monotonicMs() - beganMs) / 1_000).toFixed(1).padStart(6);
    stderr.write(`${styled(stderr, "dim", `${seconds} s`)}  ${text}\n`);
  };
  return {
    phase: (name) => say(name),
    run: (number, of) => say(styled(stderr, "bold", `run ${number} of ${of}`)),
    note: (text) => say(`${styled(stderr, "yellow", "!")} ${text}`),
  };
}
