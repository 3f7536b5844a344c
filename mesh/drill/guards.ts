// What ends a drill that hurts more than it may: services that it must not touch, and the user's
// own checks. On unless switched off.
import { isMeshError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { Check, DrillDefinition } from "./definition.ts";
import type { DrillMesh } from "./drill-mesh.ts";
import { isAfterFault } from "./ledger.ts";
import type { DrillPlan } from "./plan.ts";
import { isAnswered, percentile, samplesFrom, type CanaryEvidence } from "./samples.ts";
import type { Stopper } from "./stopper.ts";

/** With fewer requests a single one would decide. */
const SAMPLES_MIN = 20;

/** Why the drill must end, judged by the services that it must not touch. */
export function findBreach(
  definition: DrillDefinition,
  plan: DrillPlan,
  seen: { readonly evidence: readonly CanaryEvidence[]; readonly injectedAtMs: number },
): string | undefined {
  const { collateralErrorRatio, maxP99Ms } = definition.guards;
  for (const { service } of plan.services.filter(({ inScope }) => !inScope)) {
    const own = seen.evidence.filter(({ order }) => order.service === service);
    const samples = samplesFrom(own, seen.injectedAtMs).filter(isAfterFault);
    if (samples.length < SAMPLES_MIN) continue;
    const answered = samples.filter(isAnswered);
    const errors = 1 - answered.length / samples.length;
    if (collateralErrorRatio !== undefined && errors > collateralErrorRatio) {
      const percent = Math.round(errors * 1_000) / 10;
      return `Guard: ${percent} % of requests to ${service} fail, which the drill must not touch`;
    }
    const p99 = percentile(
      answered.map(({ sentMs, endMs }) => endMs - sentMs),
      99,
    );
    if (maxP99Ms !== undefined && p99 > maxP99Ms) {
      return `Guard: p99 of ${service}, which the drill must not touch, is ${Math.round(p99)} ms`;
    }
  }
  return undefined;
}

/** Asks until the signal aborts; so many failures in a row stop the run. */
export async function runCheck(
  check: Check,
  parts: { readonly mesh: DrillMesh; readonly clock: Clock; readonly stopper: Stopper },
  signal: AbortSignal,
): Promise<void> {
  const { mesh, clock, stopper } = parts;
  let failures = 0;
  for (;;) {
    const problem = await mesh.check(check.probe, check.timeoutMs, signal);
    failures = problem === undefined ? 0 : failures + 1;
    if (failures >= check.failures) {
      const reason = `Guard: ${describeCheck(check)} failed ${failures} times: ${problem ?? ""}`;
      stopper.stop({ verdict: "ABORTED", reason });
      return;
    }
    await clock.sleep(check.intervalMs, signal);
  }
}

export function describeCheck({ probe }: Check): string {
  return probe.kind === "http" ? probe.url : probe.argv.join(" ");
}

/** Ends quietly when its signal is aborted: that is how watching ends. */
export async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!signal.aborted && !isMeshError(error, "aborted")) throw error;
  }
}
