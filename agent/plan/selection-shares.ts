// Where new connections of a frontend go, in shares: the datapath's selection (bpf/lib/services.h)
// computed instead of drawn. Pure. For callers without a session; those with one stay.
//
//   1. From the best tier on, those that do not yield this time; by weight among the first tier
//      that has any.
//   2. If all yield: by weight among the best tier of those that do.
//   3. If the chosen group has no backend that is up: both again among the groups that have one.

/** What the selection knows of one group. Sorted by tier. */
export interface SelectableGroup {
  readonly tier: number;
  readonly weight: number;
  readonly backends: number;
  readonly healthy: number;
  /** Share of connections that it gives to others, in percent; undefined if it gets none at all. */
  readonly yields: number | undefined;
}

/** Beyond so many clusters of one tier that yield a part, the share is an approximation. */
const EXACT_YIELDERS = 10;

/** For each group its share, 0 … 1. They add up to 1, or to 0 where connections are refused. */
export function connectionShares(groups: readonly SelectableGroup[]): number[] {
  const all = sharesAmong(groups, ({ backends }) => backends > 0);
  const live = sharesAmong(groups, ({ healthy }) => healthy > 0);
  const dead = sum(all.filter((_, index) => groups[index]?.healthy === 0));
  return all.map((share, index) =>
    groups[index]?.healthy === 0 ? 0 : share + dead * (live[index] ?? 0),
  );
}

function sharesAmong(
  groups: readonly SelectableGroup[],
  counts: (group: SelectableGroup) => boolean,
): number[] {
  const shares = groups.map(() => 0);
  const add = (index: number, share: number): void => {
    shares[index] = (shares[index] ?? 0) + share;
  };
  const candidates = groups
    .map((group, index) => ({ ...group, index }))
    .filter((group) => group.weight > 0 && counts(group) && group.yields !== undefined);
  /** Probability that every group of the tiers so far has yielded. */
  let left = 1;
  for (const tier of tiersOf(candidates)) {
    const members = candidates.filter((group) => group.tier === tier);
    for (const { chance, serving } of outcomes(members)) {
      const total = sum(serving.map(({ weight }) => weight));
      for (const { index, weight } of serving) add(index, (left * chance * weight) / total);
    }
    left *= members.reduce((product, { yields = 0 }) => product * (yields / 100), 1);
  }
  const [best] = tiersOf(candidates);
  const spare = candidates.filter(({ tier }) => tier === best);
  const total = sum(spare.map(({ weight }) => weight));
  for (const { index, weight } of spare) add(index, (left * weight) / total);
  return shares;
}

/** Every set of a tier's groups that may serve, with how likely it is. */
function outcomes<G extends SelectableGroup>(
  members: readonly G[],
): { readonly chance: number; readonly serving: readonly G[] }[] {
  const partly = members.filter(({ yields = 0 }) => yields > 0 && yields < 100);
  const wholly = members.filter(({ yields }) => yields === 0);
  if (partly.length > EXACT_YIELDERS) {
    const serving = members.map((group) => ({
      ...group,
      weight: group.weight * (1 - (group.yields ?? 0) / 100),
    }));
    return [{ chance: 1, serving: serving.filter(({ weight }) => weight > 0) }];
  }
  const result: { chance: number; serving: G[] }[] = [];
  for (let set = 0; set < 1 << partly.length; set++) {
    let chance = 1;
    const serving = [...wholly];
    for (const [bit, group] of partly.entries()) {
      const serves = (set & (1 << bit)) !== 0;
      const yields = (group.yields ?? 0) / 100;
      chance *= serves ? 1 - yields : yields;
      if (serves) serving.push(group);
    }
    if (serving.length > 0) result.push({ chance, serving });
  }
  return result;
}

function tiersOf(groups: readonly SelectableGroup[]): number[] {
  return [...new Set(groups.map(({ tier }) => tier))].sort((a, b) => a - b);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
