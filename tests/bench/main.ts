// What `npm run bench` does: runs the benchmarks one after another, prints a table, and writes the
// same figures with the machine's description to build/bench/.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatTable } from "../../mesh/terminal.ts";
import {
  formatNumber,
  type Benchmark,
  type BenchmarkResult,
  type Distribution,
} from "./benchmark.ts";
import { connectCost } from "./connect.ts";
import { datapath } from "./datapath.ts";
import { failover } from "./failover.ts";
import { initialSync } from "./initial-sync.ts";
import { describeMachine, formatMachine } from "./machine.ts";
import { mapFill } from "./map-fill.ts";
import { kubernetes } from "./kubernetes.ts";
import { policy } from "./policy.ts";
import { policyApply } from "./policy-apply.ts";
import { probing } from "./probing.ts";
import { propagation } from "./propagation.ts";

const BENCHMARKS: readonly Benchmark[] = [
  initialSync,
  mapFill,
  propagation,
  kubernetes,
  connectCost,
  datapath,
  probing,
  policy,
  policyApply,
  failover,
];
const ROUNDS = 3;
/** What shells report for a program that SIGINT has ended. */
const INTERRUPTED = 130;
const USAGE = `Usage: npm run bench -- [--only NAME]... [--quick] [--rounds N]

Names: ${BENCHMARKS.map(({ name }) => name).join(", ")}

Example: npm run bench -- --only initial-sync --quick
`;

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const selected = BENCHMARKS.filter(({ name }) => flags.only?.includes(name) ?? true);
const givenRounds = flags.rounds === undefined ? undefined : Number(flags.rounds);
const rounds = flags.quick ? 1 : (givenRounds ?? ROUNDS);
if (flags.help || selected.length === 0 || !(rounds >= 1) || !((givenRounds ?? 1) >= 1)) {
  process.stderr.write(USAGE);
  process.exit(flags.help ? 0 : 2);
}

const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));
const directory = mkdtempSync(join(tmpdir(), "tombolo-bench-"));
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const machine = describeMachine();
const results: { name: string; title: string; result: BenchmarkResult }[] = [];
try {
  say(formatMachine(machine));
  for (const benchmark of selected) {
    const { name, title } = benchmark;
    say(`${name}: ${title}`);
    const result = await benchmark.run({
      quick: flags.quick,
      rounds,
      givenRounds,
      directory,
      say,
      signal: abort.signal,
    });
    results.push({ name, title, result });
  }
} catch (error) {
  if (!abort.signal.aborted) throw error;
  say("Interrupted: what was started has been ended again");
  process.exitCode = INTERRUPTED;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

if (!abort.signal.aborted) report();

function report(): void {
  mkdirSync("build/bench", { recursive: true });
  const startedAt = new Date().toISOString();
  const written = { startedAt, machine, quick: flags.quick, rounds, results };
  const path = `build/bench/${startedAt.replaceAll(":", "-")}.json`;
  writeFileSync(path, `${JSON.stringify(written, null, 2)}\n`);
  process.stdout.write(`\n${formatMachine(machine)}\n\n${formatResults()}\nWritten to ${path}\n`);
}

function formatResults(): string {
  const sections = results.map(({ title, result }) => {
    const table = formatTable(
      [
        { header: "contestant", text: ({ name }) => name },
        { header: "median", align: "right", text: (row) => formatNumber(row.median) },
        { header: "unit", text: ({ unit }) => unit },
        { header: "rounds", text: (row) => row.values.map(formatNumber).join("  ") },
      ],
      result.measurements,
    );
    const distributions = formatDistributions(result.distributions ?? []);
    const verdicts = result.verdicts.map(({ what, ratio, goal, met }) => {
      const answer = met ? "met" : "NOT met";
      return `${what}: ${formatNumber(ratio)} (goal ${goal.kind} ${goal.ratio}: ${answer})\n`;
    });
    return [
      `${title}\n`,
      table,
      distributions,
      ...verdicts,
      ...result.notes.map((note) => `${note}\n`),
    ].join("");
  });
  return sections.join("\n");
}

function formatDistributions(distributions: readonly Distribution[]): string {
  if (distributions.length === 0) return "";
  return formatTable(
    [
      { header: "what", text: ({ name }) => name },
      { header: "p50", align: "right", text: ({ p50 }) => formatNumber(p50) },
      { header: "p99", align: "right", text: ({ p99 }) => formatNumber(p99) },
      { header: "max", align: "right", text: ({ max }) => formatNumber(max) },
      { header: "unit", text: ({ unit }) => unit },
      { header: "samples", align: "right", text: ({ samples }) => String(samples) },
    ],
    distributions,
  );
}
