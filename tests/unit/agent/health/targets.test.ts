import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  NODES_PER_CLUSTER,
  planProbes,
  probesOfRound,
  rankNodes,
  type PlanOptions,
  type ProbeableNode,
  type ProbeGroup,
} from "../../../../agent/health/targets.ts";

const SELF = { cluster: "east", node: "east-node1" };
const INTERVAL = { intervalMs: 100 };

function nodesOf(clusterId: number, names: readonly string[]): ProbeableNode[] {
  return names.map((node) => ({
    clusterId,
    cluster: `cluster${clusterId}`,
    node,
    families: [4, 6],
  }));
}

function chosen(
  nodes: readonly ProbeableNode[],
  self = SELF,
  options: PlanOptions = INTERVAL,
): readonly string[] {
  const ipv4 = planProbes(rankNodes(nodes, self), options).find(({ family }) => family === 4);
  return ipv4?.nodes ?? [];
}

const NAMES = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/), {
  minLength: 1,
  maxLength: 40,
});

describe("rankNodes()", () => {
  test("chooses at most three nodes a cluster and family, and never the node itself", () => {
    fc.assert(
      fc.property(NAMES, (names) => {
        const nodes = nodesOf(2, names);
        const found = chosen(nodes, { cluster: "cluster2", node: names[0] ?? "" });
        expect(found).toHaveLength(Math.min(NODES_PER_CLUSTER, names.length - 1));
        expect(found).not.toContain(names[0]);
        expect(new Set(found).size).toBe(found.length);
      }),
    );
  });

  test("depends on the set of nodes, not on their order", () => {
    fc.assert(
      fc.property(NAMES, (names) => {
        expect(chosen(nodesOf(2, [...names].reverse()))).toEqual(chosen(nodesOf(2, names)));
      }),
    );
  });

  test("changes one choice at most when a node comes or goes, and only to or from that node", () => {
    fc.assert(
      fc.property(NAMES, fc.nat(), (names, pick) => {
        const gone = names[pick % names.length] ?? "";
        const before = chosen(nodesOf(2, names));
        const after = chosen(
          nodesOf(
            2,
            names.filter((name) => name !== gone),
          ),
        );
        const lost = before.filter((name) => !after.includes(name));
        const gained = after.filter((name) => !before.includes(name));
        expect(lost).toEqual(before.includes(gone) ? [gone] : []);
        expect(gained.length).toBeLessThanOrEqual(lost.length);
      }),
    );
  });

  test("spreads the probes of many nodes over the nodes of a cluster", () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 20 }), fc.nat({ max: 999 }), (size, salt) => {
        const names = Array.from({ length: size }, (_, i) => `node-${salt}-${i}`);
        const load = new Map(names.map((name) => [name, 0]));
        const probers = 1_000;
        for (let i = 0; i < probers; i += 1) {
          const self = { cluster: "east", node: `east-${salt}-${i}` };
          for (const node of chosen(nodesOf(2, names), self)) {
            load.set(node, (load.get(node) ?? 0) + 1);
          }
        }
        const fair = (probers * NODES_PER_CLUSTER) / size;
        // Six standard deviations of a fair draw.
        const slack = 6 * Math.sqrt(fair);
        for (const count of load.values()) {
          expect(Math.abs(count - fair)).toBeLessThanOrEqual(slack);
        }
      }),
      { numRuns: 10 },
    );
  });
});

describe("planProbes()", () => {
  const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
  const down = (node: string) => ({ clusterId: 2, cluster: "cluster2", family: 4 as const, node });

  test("goes on probing a node that is down, and lets the next in rank stand in", () => {
    const before = chosen(nodesOf(2, names));
    const dead = before[1] ?? "";
    const after = chosen(nodesOf(2, names), SELF, { ...INTERVAL, nodesDown: [down(dead)] });
    expect(after.slice(0, 3)).toEqual(before);
    expect(after).toHaveLength(4);
  });

  test("probes no more than three nodes that are down", () => {
    const nodesDown = names.slice(0, 11).map(down);
    const found = chosen(nodesOf(2, names), SELF, { ...INTERVAL, nodesDown });
    expect(found.filter((name) => name !== "n11")).toHaveLength(3);
  });

  test("asks more nodes of a cluster that is suspect, the first ones still among them", () => {
    const before = chosen(nodesOf(2, names));
    const wide = chosen(nodesOf(2, names), SELF, { ...INTERVAL, suspected: new Set([2]) });
    expect(wide).toHaveLength(6);
    expect(wide.slice(0, 3)).toEqual(before);
  });

  test("gives a cluster of one node as many probes a round as one of three", () => {
    const [group] = planProbes(rankNodes(nodesOf(2, ["only"]), SELF), INTERVAL);
    expect(group?.probesPerRound).toBe(3);
    expect(group === undefined ? [] : probesOfRound(group, 7)).toEqual(["only", "only", "only"]);
  });

  const mesh = (clusters: number) =>
    rankNodes(Array.from({ length: clusters }, (_, i) => nodesOf(i + 1, names)).flat(), SELF);
  /** "probes x everyRounds" of each group, once. */
  const paces = (plan: readonly ProbeGroup[]) => [
    ...new Set(plan.map((group) => `${group.probesPerRound} x ${group.everyRounds}`)),
  ];
  const perSecond = (plan: readonly ProbeGroup[]) =>
    plan.reduce((sum, group) => sum + (10 * group.probesPerRound) / group.everyRounds, 0);

  test("stays within the budget by taking turns, yet probes every cluster in every round", () => {
    for (const [clusters, pace] of [
      [10, "3 x 1"],
      [83, "3 x 1"],
      [84, "2 x 1"],
      [125, "2 x 1"],
      [126, "1 x 1"],
      [250, "1 x 1"],
      [255, "1 x 1"],
    ] as const) {
      const plan = planProbes(mesh(clusters), { ...INTERVAL, isAlert: true });
      expect(plan).toHaveLength(clusters * 2);
      expect(paces(plan)).toEqual([pace]);
    }
  });

  test("costs little while all is well: one in five rounds for clusters that nobody watches", () => {
    const watched = new Set([1, 2]);
    for (const [clusters, found, most] of [
      [10, ["3 x 1"], 600],
      [15, ["2 x 1"], 600],
      [30, ["1 x 1"], 600],
      [50, ["3 x 1", "1 x 5"], 400],
      [255, ["1 x 1", "1 x 5"], 1_100],
    ] as const) {
      const plan = planProbes(mesh(clusters), { ...INTERVAL, watched });
      expect([clusters, paces(plan)]).toEqual([clusters, found]);
      expect(perSecond(plan)).toBeLessThanOrEqual(most);
      for (const { clusterId, everyRounds } of plan) {
        if (watched.has(clusterId)) expect(everyRounds).toBe(1);
      }
    }
  });

  test("spreads what is asked less often over the rounds", () => {
    const plan = planProbes(mesh(100), { ...INTERVAL, watched: new Set() });
    const asked = [0, 1, 2, 3, 4].map((round) => plan.flatMap((one) => probesOfRound(one, round)));
    expect(asked.map(({ length }) => length)).toEqual([40, 40, 40, 40, 40]);
  });
});

describe("probesOfRound()", () => {
  test("comes to every node equally often", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat({ max: 1_000_000 }),
        (size, probesPerRound, everyRounds, first) => {
          const nodes = Array.from({ length: size }, (_, i) => `n${i}`);
          const group = {
            clusterId: 2,
            cluster: "west",
            family: 4 as const,
            nodes,
            probesPerRound,
            everyRounds,
            phase: first % everyRounds,
          };
          const asked = Array.from({ length: size * everyRounds }, (_, i) =>
            probesOfRound(group, first + i),
          );
          for (const node of nodes) {
            expect(asked.flat().filter((name) => name === node)).toHaveLength(probesPerRound);
          }
        },
      ),
    );
  });

  test("asks nobody of a group without nodes", () => {
    const group = { clusterId: 2, cluster: "west", family: 4 as const, nodes: [] };
    const pace = { probesPerRound: 3, everyRounds: 1, phase: 0 };
    expect(probesOfRound({ ...group, ...pace }, 1)).toEqual([]);
  });
});
