// The tour's end: a drill with the command that a person would run, told while it goes on. What is
// said at the end comes from the drill's own report.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { CommandResult } from "../../mesh/core/child-process.ts";
import { throwIfAborted, type Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { DrillReport } from "../../mesh/drill/report.ts";
import { createReportStore } from "../../mesh/drill/store.ts";
import { formatMs, summarize } from "../../mesh/drill/summary.ts";
import type { Timeline } from "./timeline.ts";

const NAME = "tour";
/** Enough to see what was before, that nothing fails any more, and that the cluster comes back. */
const TIMES = ["--baseline", "3s", "--duration", "5s", "--failback", "20s"];
/** A mesh that is not steady yet is not drilled: nothing was touched, so it is asked again. */
const ATTEMPTS = 5;
const STEADY_WAIT_MS = 2_000;

export interface RehearseOptions {
  readonly home: string;
  readonly mesh: (
    words: readonly string[],
    onStderr: (text: string) => void,
  ) => Promise<CommandResult>;
  readonly timeline: Timeline;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Rehearsal {
  readonly report: DrillReport;
  /** Where the report is as a page. */
  readonly page: string;
}

export async function rehearse(
  what: { readonly cluster: string; readonly service: string },
  options: RehearseOptions,
): Promise<Rehearsal> {
  const { home, timeline, clock, signal } = options;
  const page = join(home, "drills", `${NAME}.html`);
  await mkdir(join(home, "drills"), { recursive: true, mode: 0o700 });
  const fault = ["--fault", "cluster-black-hole", "--cluster", what.cluster];
  const scope = ["--service", what.service, "--protocol", "echo", "--name", NAME];
  const words = ["drill", "run", ...fault, ...scope, ...TIMES, "--report", page];
  timeline.event(`mesh ${words.join(" ")}`);
  for (let attempt = 1; ; attempt++) {
    const report = await runDrill(words, options);
    if (report.runs.length > 0 || report.verdict !== "ABORTED" || attempt === ATTEMPTS) {
      tell(report, timeline);
      return { report, page };
    }
    timeline.event("the mesh is not steady yet: again");
    await clock.sleep(STEADY_WAIT_MS, signal);
  }
}

async function runDrill(
  words: readonly string[],
  { home, mesh, timeline, signal }: RehearseOptions,
): Promise<DrillReport> {
  const store = createReportStore(join(home, "drills"));
  const before = new Set((await store.list()).map(({ id }) => id));
  const phases = createLineReader((line) => timeline.event(withoutTime(line)));
  const { stderr } = await mesh(words, phases);
  throwIfAborted(signal);
  // Every verdict has a report, whatever the exit status is.
  const report = (await store.list()).findLast(({ id, name }) => name === NAME && !before.has(id));
  if (report !== undefined) return report;
  throw new MeshError("unavailable", `Cannot run a drill: ${stderr.trim()}`);
}

function tell(report: DrillReport, timeline: Timeline): void {
  timeline.block((paint) => `\n${summarize(report, paint).trimEnd()}\n`);
  timeline.result(describe(report), report.verdict === "PASS" ? "good" : "bad");
}

function describe({ verdict, runs }: DrillReport): string {
  const [run] = runs;
  const judged = run?.services.find(({ inScope }) => inScope);
  if (run === undefined || judged === undefined) return `drill ${verdict}: nothing was touched`;
  const { failed, hung, sent } = judged.ledger.requests;
  const { convergedMs } = judged.times;
  const recovered =
    convergedMs === undefined
      ? "requests did not recover"
      : `recovered in ${formatMs(convergedMs)}`;
  const proof = run.restoration.proved ? "is proved" : "is not proved";
  return (
    `drill ${verdict}: ${recovered}; of ${sent} requests ${failed} failed and ${hung} hung; ` +
    `restoration ${proof}`
  );
}

/** "   3.2 s  text" is "text": the tour has times of its own. */
function withoutTime(line: string): string {
  return line.replace(/^ *\d+\.\d s {2}/, "");
}

/** Hands on whole lines of what comes in pieces. */
function createLineReader(onLine: (line: string) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  };
}
