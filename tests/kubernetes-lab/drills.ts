// A drill in the Kubernetes lab as an operator runs it: every question goes over the API servers.
// How fast a machine of two cores fails over is printed and judged by nobody.
import type { DrillReport, DrillRun } from "../../mesh/drill/report.ts";
import { parseReport } from "../e2e/drill-runs.ts";
import type { KubernetesTestLab } from "./kubernetes-lab.ts";

/** Throws unless the drill went through to its end. */
export async function drillByContexts(
  lab: KubernetesTestLab,
  words: readonly string[],
): Promise<Pick<DrillReport, "id"> & Pick<DrillRun, "restoration">> {
  const limits = ["--service", "shop/cart", "--baseline", "3s", "--failback", "2m"];
  const at = ["--context", "east", "--context", "west"];
  const wish = [...words, ...limits, ...at, "--output", "json"];
  const report = parseReport(await lab.mesh(["drill", "run", ...wish]));
  const { id, verdict, runs } = report;
  const [run] = runs;
  const reasons = runs.flatMap((one) => one.reasons).join("; ");
  if (run === undefined || (verdict !== "PASS" && verdict !== "FAIL")) {
    throw new Error(`The drill has ended as ${verdict}: ${reasons}`);
  }
  for (const { service, times, ledger } of run.services) {
    const { sent, failed, hung } = ledger.requests;
    process.stderr.write(
      `${report.name}, ${service}: ${verdict}${reasons === "" ? "" : ` (${reasons})`}; ` +
        `RTO ${shown(times.convergedMs)}, detected ${shown(times.detectedMs)}, ` +
        `failback ${shown(times.failbackMs)}; ${sent} requests, ${failed} failed, ${hung} hung\n`,
    );
  }
  return { id, restoration: run.restoration };
}

function shown(ms: number | undefined): string {
  return ms === undefined ? "-" : `${Math.round(ms)} ms`;
}
