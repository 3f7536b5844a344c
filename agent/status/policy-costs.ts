// What policies cost at pods, asked once for all pods that have their policy in common.
import type { PolicyEngine } from "../policy/engine.ts";
import type { NodePod } from "./node-pods.ts";

/** Entries by policy key; for one answer, since it remembers what was so. */
export type PolicyCosts = (
  pod: Pick<NodePod, "endpoint" | "profile">,
) => ReadonlyMap<string, number>;

export function createPolicyCosts(engine: Pick<PolicyEngine, "costOf">): PolicyCosts {
  const known = new Map<string, ReadonlyMap<string, number>>();
  return ({ endpoint, profile }) => {
    if (endpoint === undefined) return new Map();
    const costs = known.get(profile) ?? engine.costOf(endpoint.key);
    known.set(profile, costs);
    return costs;
  };
}
