// Drills by the command that people use, and what their reports say: for tests of drills.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DrillReport, ServiceResult } from "../../mesh/drill/report.ts";
import type { MeshResult, TestLab } from "./test-lab.ts";

const CART_NAME = "shop/cart";

export interface Wish {
  readonly fault: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

export interface Drilled {
  readonly result: MeshResult;
  readonly report: DrillReport;
}

/** The shortest drill that still says something. JSON is YAML. */
export async function writeDrill(lab: TestLab, name: string, wish: Wish): Promise<string> {
  const definition = {
    version: 1,
    name,
    baseline: "1s",
    duration: "3s",
    failback: "15s",
    canaries: { protocol: "echo", perSecond: 20, timeout: "1s" },
    ...wish,
  };
  const file = join(lab.home, `${name}.yaml`);
  await writeFile(file, JSON.stringify(definition, undefined, 2));
  return file;
}

export async function runDrill(
  lab: TestLab,
  name: string,
  wish: Wish,
  words: readonly string[] = [],
): Promise<Drilled> {
  const file = await writeDrill(lab, name, wish);
  const result = await lab.mesh(["drill", "run", file, "--output", "json", ...words]);
  return { result, report: parseReport(result) };
}

export function parseReport({ status, stdout, stderr }: MeshResult): DrillReport {
  if (stdout === "") throw new Error(`Exit status ${status}: ${stderr}`);
  return JSON.parse(stdout) as DrillReport;
}

export function cartOf({ runs }: DrillReport): ServiceResult {
  const found = runs[0]?.services.find(({ service }) => service === CART_NAME);
  if (found === undefined) throw new Error(`no result of the cart: ${JSON.stringify(runs)}`);
  return found;
}

/** The verdict with its reasons, so that a failing test says why. */
export function verdictOf({ verdict, runs }: DrillReport): readonly [string, readonly string[]] {
  return [verdict, runs.flatMap(({ reasons }) => reasons)];
}

export function say(name: string, { report }: Drilled): void {
  const { times, ledger, latency } = cartOf(report);
  const { sent, failed, hung } = ledger.requests;
  const flows = JSON.stringify(ledger.flows);
  process.stderr.write(
    `${name}: ${report.verdict}; ${sent} requests, ${failed} failed, ${hung} hung; flows ${flows}; ` +
      `RTO ${Math.round(times.convergedMs ?? -1)} ms, failback ${Math.round(times.failbackMs ?? -1)} ms; ` +
      `p99 ${latency.beforeP99Ms} -> ${latency.duringP99Ms} ms\n`,
  );
}

/** The command runs itself again in the lab's namespace: both are its coordinator. */
export async function killWithChildren(pid: number): Promise<void> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  for (const child of text.split(" ").filter(Boolean)) await killWithChildren(Number(child));
  process.kill(pid, "SIGKILL");
}
