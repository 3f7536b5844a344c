// What drains make of clusters and of services' groups. Pure.
//
// A cluster that is drained for one service keeps its share of what the drain leaves it, and yields
// the rest:
//
//   drained 100 %, no sessions   behind all others, in a tier of its own: the datapath comes back
//                                to it by itself when nobody else can serve
//   drained 100 %, sessions      weight 0, so that its clients move too; as it was while no other
//                                cluster has healthy backends
//   drained by less              what it yields goes to the others of its tier; where it stands
//                                alone, the next tier is drawn up beside it
//
// Example: tier 0 east weight 3, tier 1 west weight 1 and north weight 1; east drained by 25 %:
// tier 0 east 7500, west 1250, north 1250.
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import { LAST_TIER, LEAVING_TIER, type BackendGroup } from "./rank-clusters.ts";

/** The sum of a tier's weights where a drain has changed them: hundredths of a percent. */
const SHARES = 10_000;

export function drainGroups(
  groups: readonly BackendGroup[],
  service: {
    readonly percentOf: (cluster: string) => number;
    readonly hasSessions: boolean;
  },
): readonly BackendGroup[] {
  const percentOf = ({ cluster, tier }: BackendGroup): number =>
    tier === LEAVING_TIER ? 0 : service.percentOf(cluster);
  if (groups.every((group) => percentOf(group) === 0)) return groups;
  const canTakeOver = groups.some(
    (group) =>
      group.tier !== LEAVING_TIER &&
      group.weight > 0 &&
      (group.healthy ?? group.backends.length) > 0 &&
      percentOf(group) < 100,
  );
  // With nobody to go to, what is drained serves on as it was.
  if (!canTakeOver) return groups;
  const put = (group: BackendGroup): BackendGroup => {
    if (percentOf(group) < 100) return group;
    return service.hasSessions ? { ...group, weight: 0 } : { ...group, tier: LAST_TIER };
  };
  const placed = groups.map(put);
  const drawnUp = drawUp(placed, percentOf);
  return drawnUp.sort((a, b) => a.tier - b.tier || a.clusterId - b.clusterId);
}

/** Tier by tier, from the best: what is yielded in a tier goes to others in it. */
function drawUp(
  groups: readonly BackendGroup[],
  percentOf: (group: BackendGroup) => number,
): BackendGroup[] {
  const result: BackendGroup[] = [];
  const tiers = [...new Set(groups.map(({ tier }) => tier))].sort((a, b) => a - b);
  const drawn = new Set<number>();
  for (const tier of tiers) {
    if (drawn.has(tier)) continue;
    const members = groups.filter((group) => group.tier === tier);
    if (!members.some((group) => group.weight > 0 && isPartly(percentOf(group)))) {
      result.push(...members);
      continue;
    }
    const others = members.some((group) => group.weight > 0 && percentOf(group) === 0);
    const next = tiers.find(
      (other) => other > tier && !drawn.has(other) && hasTakers(groups, other, percentOf),
    );
    if (others || next === undefined) {
      result.push(...reshare(members, [], percentOf));
      continue;
    }
    drawn.add(next);
    const takers = groups.filter((group) => group.tier === next);
    result.push(...reshare(members, takers, percentOf).map((group) => ({ ...group, tier })));
  }
  return result;
}

function hasTakers(
  groups: readonly BackendGroup[],
  tier: number,
  percentOf: (group: BackendGroup) => number,
): boolean {
  if (tier >= LAST_TIER) return false;
  return groups.some((group) => group.tier === tier && group.weight > 0 && percentOf(group) === 0);
}

/** `takers` get what `members` yield; without any, the undrained of `members` do. */
function reshare(
  members: readonly BackendGroup[],
  takers: readonly BackendGroup[],
  percentOf: (group: BackendGroup) => number,
): BackendGroup[] {
  const total = sumOf(members, ({ weight }) => weight);
  const kept = (group: BackendGroup): number =>
    (group.weight / total) * (1 - (isPartly(percentOf(group)) ? percentOf(group) / 100 : 0));
  const yielded = 1 - sumOf(members, kept);
  const receivers = (takers.length > 0 ? takers : members).filter(
    (group) => percentOf(group) === 0,
  );
  const received = sumOf(receivers, ({ weight }) => weight);
  return [...members, ...takers].map((group) => {
    if (group.weight === 0) return group;
    const own = members.includes(group) ? kept(group) : 0;
    const more = receivers.includes(group) ? (yielded * group.weight) / received : 0;
    return { ...group, weight: Math.max(1, Math.round((own + more) * SHARES)) };
  });
}

function isPartly(percent: number): boolean {
  return percent > 0 && percent < 100;
}

function sumOf<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + numberOf(item), 0);
}

/** The one that counts among several of one cluster: the largest share, then the latest end. */
export function strongestDrain(drains: Iterable<DrainRecord>): DrainRecord | undefined {
  let strongest: DrainRecord | undefined;
  for (const drain of drains) {
    if (strongest === undefined || isStronger(drain, strongest)) strongest = drain;
  }
  return strongest;
}

function isStronger(a: DrainRecord, b: DrainRecord): boolean {
  if (a.percent !== b.percent) return a.percent > b.percent;
  return endOf(a) > endOf(b);
}

function endOf({ expiresAtMs }: DrainRecord): number {
  return expiresAtMs === 0 ? Infinity : expiresAtMs;
}

/** Service → cluster → percent, of the drains that name services. */
export function percentsByService(
  drains: Iterable<DrainRecord>,
): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const percents = new Map<string, Map<string, number>>();
  for (const { cluster, percent, services } of drains) {
    for (const service of services) {
      const known = percents.get(service) ?? new Map<string, number>();
      percents.set(service, known.set(cluster, Math.max(known.get(cluster) ?? 0, percent)));
    }
  }
  return percents;
}
