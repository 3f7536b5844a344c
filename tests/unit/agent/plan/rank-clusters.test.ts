import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { DEFAULT_SERVICE_SETTINGS, type ServiceSettings } from "../../../../mesh/core/service.ts";
import {
  LAST_TIER,
  rankClusters,
  type ClusterBackends,
} from "../../../../agent/plan/rank-clusters.ts";

/**
 * `east:3` is cluster east with three backends, `east:3!` with three that leave, `east:3-2` with
 * three of which two are down; ids follow the alphabet.
 */
function candidates(text: string): ClusterBackends[] {
  return text.split(" ").map((part) => {
    const [cluster = "", count = "0"] = part.split(":");
    const leaving = count.endsWith("!") ? { leaving: true } : {};
    const [, down] = count.split("-");
    const healthy = down === undefined ? {} : { healthy: Number.parseInt(count) - Number(down) };
    const backends = Array.from({ length: Number.parseInt(count) }, (_, i) => ({
      address: `10.0.0.${i + 1}`,
      port: 80,
    }));
    return { cluster, clusterId: cluster.charCodeAt(0), backends, ...leaving, ...healthy };
  });
}

/** `east 0/3`: tier 0, weight 3. */
function ranked(text: string, settings: Partial<ServiceSettings>): string {
  return rankClusters(candidates(text), {
    settings: { ...DEFAULT_SERVICE_SETTINGS, global: true, ...settings },
    localCluster: "east",
  })
    .map(({ cluster, tier, weight }) => `${cluster} ${tier}/${weight}`)
    .join(", ");
}

const order = (text: string): { failoverOrder: string[][] } => ({
  failoverOrder: text.split(",").map((tier) => tier.split("+")),
});
const weights = (map: Record<string, number>): { weights: Map<string, number> } => ({
  weights: new Map(Object.entries(map)),
});
const atLeast = (count: number): Partial<ServiceSettings> => ({
  minHealthy: { kind: "count", count },
});
const percent = (value: number): Partial<ServiceSettings> => ({
  minHealthy: { kind: "percent", percent: value },
});

describe("rankClusters()", () => {
  const cases: readonly [string, string, Partial<ServiceSettings>, string][] = [
    ["none: one tier, by backends", "east:1 west:2", {}, "east 0/1, west 0/2"],
    ["backends that are down take no share", "east:3-1 west:2", {}, "east 0/2, west 0/2"],
    ["a cluster of dead backends keeps its share", "east:3-3 west:2", {}, "east 0/3, west 0/2"],
    [
      "backends that are down count for no minimum",
      "east:3-2 west:2",
      atLeast(2),
      "east 0/0, west 0/2",
    ],
    ["percentages are of those that are up", "east:8-6 west:3", percent(50), "east 0/2, west 0/3"],
    ["leaves clusters without backends out", "east:0 west:2", {}, "west 0/2"],
    ["local: ours first", "east:1 west:2", { affinity: "local" }, "east 0/1, west 1/2"],
    ["leaving ones behind all that are ready", "east:3! west:2", {}, "west 0/2, east 255/3"],
    [
      "leaving ones last, whatever the affinity",
      "east:3! west:2",
      { affinity: "local" },
      "west 1/2, east 255/3",
    ],
    ["leaving ones together when nobody is ready", "east:3! west:2!", {}, "east 255/3, west 255/2"],
    [
      "leaving ones count for no minimum",
      "east:3! north:1 west:2!",
      atLeast(2),
      "north 0/1, east 255/3, west 255/2",
    ],
    [
      "leaving ones of a cluster that was taken out stay out",
      "east:3! west:2!",
      weights({ east: 0 }),
      "east 255/0, west 255/2",
    ],
    ["remote: ours last", "east:1 west:2", { affinity: "remote" }, "west 0/2, east 1/1"],
    [
      "order: ours, then as listed, then the rest",
      "east:1 north:1 south:1 west:1",
      order("west,north"),
      "east 0/1, west 1/1, north 2/1, south 3/1",
    ],
    [
      "order with equals",
      "east:1 north:1 west:2",
      order("west+north"),
      "east 0/1, north 1/1, west 1/2",
    ],
    ["order that lists ours", "east:1 west:1", order("west,east"), "west 1/1, east 2/1"],
    [
      "order with affinity remote: ours last",
      "east:1 north:1 west:1",
      { ...order("west"), affinity: "remote" },
      "west 0/1, north 1/1, east 2/1",
    ],
    ["weights", "east:1 west:1", weights({ east: 90, west: 10 }), "east 0/90, west 0/10"],
    ["weight 0 takes out", "east:1 west:1", weights({ east: 0, west: 5 }), "east 0/0, west 0/5"],
    [
      "a cluster without weight comes behind those of its rank",
      "east:3 north:2 west:1",
      weights({ east: 90, west: 10 }),
      "east 0/90, west 0/10, north 1/2",
    ],
    ["minimum reached by all", "east:2 west:3", atLeast(2), "east 0/2, west 0/3"],
    ["minimum missed by one", "east:1 west:3", atLeast(2), "east 0/0, west 0/3"],
    ["minimum missed by all is ignored", "east:1 west:1", atLeast(2), "east 0/1, west 0/1"],
    ["minimum 0", "east:1", atLeast(0), "east 0/1"],
    ["percent of the largest", "east:1 west:4", percent(50), "east 0/0, west 0/4"],
    ["percent rounds up", "east:1 west:3", percent(34), "east 0/0, west 0/3"],
    ["100 percent", "east:4 west:3", percent(100), "east 0/4, west 0/0"],
    [
      "a minimum that only an unweighted cluster reaches does not take the last weight away",
      "east:1 west:3",
      { ...weights({ east: 1, west: 0 }), ...atLeast(2) },
      "east 0/1, west 0/0",
    ],
    [
      "the example of the file's comment",
      "east:1 north:3 west:4",
      { ...order("west+north"), ...weights({ west: 90, north: 10 }), ...percent(50) },
      "east 1/0, north 2/10, west 2/90",
    ],
  ];
  for (const [name, clusters, settings, wanted] of cases) {
    test(name, () => expect(ranked(clusters, settings)).toBe(wanted));
  }

  test("puts ranks beyond the last tier into it", () => {
    const many = Array.from({ length: 300 }, (_, i) => `c${i}`);
    const last = many.at(-1) ?? "";
    const groups = rankClusters(
      [{ cluster: last, clusterId: 9, backends: [{ address: "10.0.0.1", port: 80 }] }],
      {
        settings: { ...DEFAULT_SERVICE_SETTINGS, failoverOrder: many.map((name) => [name]) },
        localCluster: "east",
      },
    );
    expect(groups[0]?.tier).toBe(LAST_TIER);
  });

  const settingsOf = fc.record({
    affinity: fc.constantFrom("none" as const, "local" as const, "remote" as const),
    failoverOrder: fc.array(fc.subarray(["east", "north", "south", "west"], { minLength: 1 }), {
      maxLength: 3,
    }),
    weights: fc
      .dictionary(fc.constantFrom("east", "north", "south", "west"), fc.nat(100))
      .map((map) => new Map(Object.entries(map))),
    minHealthy: fc.oneof(
      fc.constant(undefined),
      fc.nat(5).map((count) => ({ kind: "count" as const, count })),
      fc.nat(100).map((value) => ({ kind: "percent" as const, percent: value })),
    ),
  });
  const counts = fc
    .tuple(fc.nat(4), fc.nat(4), fc.nat(4), fc.nat(4))
    .map(([east, north, south, west]) => `east:${east} north:${north} south:${south} west:${west}`);

  test("a cluster's tier does not depend on which others there are", () => {
    fc.assert(
      fc.property(settingsOf, counts, (settings, text) => {
        const full = { ...DEFAULT_SERVICE_SETTINGS, ...settings };
        const all = rankClusters(candidates(text), { settings: full, localCluster: "east" });
        for (const group of all) {
          const alone = candidates(text).filter(({ cluster }) => cluster === group.cluster);
          const [only] = rankClusters(alone, { settings: full, localCluster: "east" });
          expect(only?.tier).toBe(group.tier);
        }
      }),
    );
  });

  test("is sorted, loses no cluster, and leaves nobody unserved because of the minimum", () => {
    fc.assert(
      fc.property(settingsOf, counts, (settings, text) => {
        const full = { ...DEFAULT_SERVICE_SETTINGS, ...settings };
        const given = candidates(text);
        const groups = rankClusters(given, { settings: full, localCluster: "east" });
        const tiers = groups.map(({ tier }) => tier);
        expect(tiers).toEqual([...tiers].sort((a, b) => a - b));
        expect(groups.length).toBe(given.filter(({ backends }) => backends.length > 0).length);
        const without = rankClusters(given, {
          settings: { ...full, minHealthy: undefined },
          localCluster: "east",
        });
        const served = (list: typeof groups): boolean => list.some(({ weight }) => weight > 0);
        expect(served(groups)).toBe(served(without));
      }),
    );
  });
});
