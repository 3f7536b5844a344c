// How many transitions there can be at the most, as docs/health.md states it, for whatever happens.
import type { JudgeLimits } from "../../../../../agent/health/judge-limits.ts";
import type { HealthSubject } from "../../../../../agent/health/observation.ts";

/** Failures within the time; each is held for twice as long as the last unless all was quiet. */
export function failuresMax(durationMs: number, firstMs: number, limits: JudgeLimits): number {
  const steps = 1 + Math.ceil(Math.log2(limits.holdDownMaxMs / firstMs));
  const quietWhiles = 1 + Math.floor(durationMs / limits.quietMs);
  return steps * quietWhiles + Math.floor(durationMs / limits.holdDownMaxMs);
}

export function transitionsMax(
  subject: HealthSubject["kind"],
  durationMs: number,
  limits: JudgeLimits,
): number {
  const downs = failuresMax(durationMs, limits.holdDownMs, limits);
  const suspicions = failuresMax(durationMs, limits.clearMs, limits);
  const steps = limits.heldBackPercents.length;
  switch (subject) {
    case "cluster":
      return 1 + 2 * suspicions + (3 + steps) * downs;
    case "node":
      return 2 * downs;
    case "backend":
      // Its node's and its cluster's return have it tried at once.
      return 3 * downs + 2 * 2 * downs;
    case "isolation":
      return 2 * Math.ceil(durationMs / ((limits.isolationRounds + 1) * limits.intervalMs));
  }
}
