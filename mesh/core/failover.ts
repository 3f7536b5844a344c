// Who answers for a service when some of its backends are gone, and whether that is enough. Pure;
// `mesh drain`, `mesh drill` and `mesh service get` all ask this one function.
import type { MinHealthy } from "./service.ts";

/** What one cluster offers for one frontend. */
export interface ServingGroup {
  readonly cluster: string;
  readonly tier: number;
  /** Share within its tier; 0 gets nothing. */
  readonly weight: number;
  /** Whether the cluster may be given new connections. */
  readonly usable: boolean;
  /** Backends that are up. */
  readonly backends: number;
}

export interface Serving {
  /** Clusters that new connections go to, with their shares, which add up to 1. */
  readonly shares: ReadonlyMap<string, number>;
  /** Backends that can serve at all, in every usable cluster. */
  readonly backends: number;
  /** What `min-healthy` asks of a cluster that serves; 1 without it. */
  readonly required: number;
  /** Whether a cluster that serves has that many. */
  readonly enough: boolean;
}

/** With every group as it is given: leave out, or set to 0, what is gone. */
export function predictServing(
  groups: readonly ServingGroup[],
  options: { readonly minHealthy?: MinHealthy | undefined; readonly mostBackends?: number } = {},
): Serving {
  // The datapath passes over a group of weight 0, whoever else is left.
  const able = groups.filter((group) => group.usable && group.backends > 0 && group.weight > 0);
  const most = options.mostBackends ?? Math.max(0, ...groups.map(({ backends }) => backends));
  const required = requiredBackends(options.minHealthy, most);
  const tier = Math.min(...able.map((group) => group.tier));
  const first = able.filter((group) => group.tier === tier);
  const total = first.reduce((sum, { weight }) => sum + weight, 0);
  const shares = new Map<string, number>();
  for (const { cluster, weight } of first) {
    shares.set(cluster, (shares.get(cluster) ?? 0) + weight / total);
  }
  return {
    shares,
    backends: able.reduce((sum, { backends }) => sum + backends, 0),
    required,
    enough: able.some(({ backends }) => backends >= required),
  };
}

/** `most`: of the most backends that any cluster has, as in the annotation. At least 1. */
export function requiredBackends(minHealthy: MinHealthy | undefined, most: number): number {
  if (minHealthy === undefined) return 1;
  const wanted =
    minHealthy.kind === "count" ? minHealthy.count : Math.ceil((most * minHealthy.percent) / 100);
  return Math.max(1, wanted);
}
