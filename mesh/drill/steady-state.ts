// Whether a mesh is well enough to be drilled: what is broken already would be blamed on the drill.
// Pure.
import type { DrillDefinition } from "./definition.ts";
import type { MeshFacts } from "./facts.ts";
import type { DrillPlan } from "./plan.ts";
import { isAnswered, samplesFrom, type CanaryEvidence } from "./samples.ts";

/** A single stray failure in a long baseline is not what "violated" means. */
const BASELINE_ERROR_RATIO = 0.01;

/** A sentence each; empty: steady. */
export function healthProblems(facts: MeshFacts): string[] {
  return facts.clusters.flatMap(({ name, nodes }) =>
    nodes.flatMap((node) => {
      const place = `${name}/${node.name}`;
      const isolated = node.health.isolated ? [`${place} hears no other node at all`] : [];
      const unwell = node.health.clusters
        .filter(({ state }) => state !== "healthy" && state !== "unknown")
        .map((cluster) => `${place} holds "${cluster.name}" for ${cluster.state}`);
      return [...isolated, ...unwell];
    }),
  );
}

/** Judged by the requests before the fault. */
export function baselineProblems(
  definition: DrillDefinition,
  plan: DrillPlan,
  evidence: readonly CanaryEvidence[],
): string[] {
  return plan.services.flatMap(({ service, objectives }) => {
    const own = evidence.filter(({ order }) => order.service === service);
    const samples = samplesFrom(own, 0);
    if (own.length > 0 && samples.length === 0) return [`${service}: no request was sent`];
    const errors = samples.filter((sample) => !isAnswered(sample)).length;
    const ratio = samples.length === 0 ? 0 : errors / samples.length;
    const allowed = Math.max(objectives.maxErrorRatio ?? 0, BASELINE_ERROR_RATIO);
    if (ratio <= allowed) return [];
    const where = definition.baselineMs / 1_000;
    return [`${service}: ${errors} of ${samples.length} requests failed in ${where} s before it`];
  });
}
