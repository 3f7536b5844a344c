import { beforeAll, describe, expect, test } from "@jest/globals";
import type {
  ClusterFacts,
  EndpointFacts,
  InstalledPeer,
} from "../../../../mesh/connect/cluster-facts.ts";
import { CLOCK_SKEW_LIMIT_MS, hasErrors, preflight } from "../../../../mesh/connect/preflight.ts";
import { createFactsMaker, type FactsMaker } from "../../../fakes/cluster-facts.ts";

let east: FactsMaker;
let west: FactsMaker;

beforeAll(async () => {
  [east, west] = await Promise.all([createFactsMaker("east", 1), createFactsMaker("west", 2)]);
});

function peer(changes: Partial<InstalledPeer>): InstalledPeer {
  return {
    name: "north",
    id: undefined,
    endpoints: [],
    bundle: undefined,
    client: undefined,
    problem: undefined,
    ...changes,
  };
}

function skewed(maker: FactsMaker, clockOffsetMs: number): ClusterFacts {
  const answer = { kind: "reachable", clockOffsetMs } as const;
  return maker.make({ endpoints: [{ endpoint: "https://10.0.0.1:2379", answer }] });
}

describe("preflight()", () => {
  test("finds nothing between clusters that fit", () => {
    expect(preflight([east.make(), west.make()])).toEqual([]);
  });

  test("takes what clusters mirror of each other for what it is", () => {
    const prefixes = [...east.make().prefixes, ...west.make().prefixes];
    expect(preflight([east.make({ prefixes }), west.make({ prefixes })])).toEqual([]);
  });

  const cases: readonly [string, () => [ClusterFacts, ClusterFacts], string, RegExp][] = [
    [
      "itself",
      () => [east.make(), east.make({ context: "east2" })],
      "self",
      /^Cluster "east" cannot be connected to itself: "east" and "east2" lead to the same one$/,
    ],
    [
      "two of one name",
      () => [east.make(), west.make({ profile: east.make().profile, advertised: undefined })],
      "duplicate-name",
      /^Both clusters are called "east": "east" and "west"$/,
    ],
    [
      "two of one id",
      () => [
        east.make(),
        west.make({ profile: { ...west.make().profile, id: 1 }, advertised: undefined }),
      ],
      "duplicate-id",
      /^Clusters "east" and "west" both have id 1$/,
    ],
    [
      "the id of a peer's peer",
      () => [east.make({ peers: [peer({ id: 2 })] }), west.make()],
      "duplicate-id",
      /^Cluster "west" has id 2, which "north", a peer of "east", has too$/,
    ],
    [
      "another width",
      () => [
        east.make(),
        west.make({
          profile: { ...west.make().profile, maxConnectedClusters: 511 },
          advertised: undefined,
        }),
      ],
      "identity-width",
      /"east" is set up for 255 clusters and "west" for 511/,
    ],
    [
      "an etcd that says something else than the profile",
      () => [east.make({ advertised: { id: 9, maxConnectedClusters: 255 } }), west.make()],
      "config-mismatch",
      /^The etcd of cluster "east" says id 9 of 255, its profile says id 1 of 255$/,
    ],
    [
      "overlapping pods",
      () => [
        east.make(),
        west.make({ prefixes: [{ prefix: "10.1.2.0/24", cluster: "west", node: "w" }] }),
      ],
      "pod-prefix-overlap",
      /^Pod prefix 10.1.2.0\/24 of cluster "west" \(node "w"\) overlaps 10.1.0.0\/16 of cluster "east"/,
    ],
    [
      "pods that overlap with a connected peer's",
      () => [
        east.make({ prefixes: [{ prefix: "10.2.0.0/24", cluster: "north", node: "n" }] }),
        west.make(),
      ],
      "pod-prefix-overlap",
      /of cluster "north" \(node "n"\) overlaps .* of cluster "west"/,
    ],
    [
      "another way to encrypt",
      () => [east.make(), west.make({ encryption: ["none", "wireguard"] })],
      "encryption-mode",
      /^Nodes of cluster "east" encrypt with none and nodes of "west" with none and wireguard$/,
    ],
    [
      "a dead apiserver",
      () => [east.make({ apiserverProblem: "no answer" }), west.make()],
      "apiserver-unreachable",
      /^The apiserver of cluster "east" does not answer: no answer$/,
    ],
    [
      "an unreachable endpoint",
      () => [
        east.make({
          endpoints: [{ endpoint: "https://x:1", answer: { kind: "unreachable", reason: "why" } }],
        }),
        west.make(),
      ],
      "endpoint-unreachable",
      /^The etcd of cluster "east" does not answer at https:\/\/x:1: why$/,
    ],
    [
      "a wrong authority",
      () => [
        east.make({
          endpoints: [{ endpoint: "https://x:1", answer: { kind: "untrusted", reason: "why" } }],
        }),
        west.make(),
      ],
      "endpoint-untrusted",
      /^The endpoint https:\/\/x:1 does not belong to cluster "east": why$/,
    ],
    [
      "a clock that is wrong",
      () => [skewed(east, CLOCK_SKEW_LIMIT_MS + 35_000), west.make()],
      "clock-skew",
      /^The clock of cluster "east" is 95 s ahead of this machine's; the limit is 60 s$/,
    ],
    [
      "clocks that are wrong to each other only",
      () => [skewed(east, 40_000), skewed(west, -40_000)],
      "clock-skew",
      /^The clocks of clusters "east" and "west" differ by 80 s; the limit is 60 s$/,
    ],
    [
      "a peer of that name with another authority",
      () => [
        east.make({ peers: [peer({ name: "west", bundle: east.make().bundle })] }),
        west.make(),
      ],
      "peer-other-authority",
      /^Cluster "east" already knows a peer called "west", but under another certificate authority$/,
    ],
  ];
  for (const [name, arrange, rule, message] of cases) {
    test(`refuses ${name}`, () => {
      const findings = preflight(arrange());
      expect(findings).toMatchObject([{ severity: "error", rule }]);
      expect(findings[0]?.message).toMatch(message);
      expect(findings[0]?.hint).not.toBe("");
      expect(hasErrors(findings)).toBe(true);
    });
  }

  test("says which apiserver does not reach whose etcd, if none of its endpoints answers", () => {
    const clusters = [east.make(), west.make()];
    const refused = { kind: "unreachable", reason: "refused" } as const;
    const dead = { endpoint: "https://a:1", answer: refused };
    const strange = {
      endpoint: "https://b:1",
      answer: { kind: "untrusted", reason: "who" },
    } as const;
    const alive = {
      endpoint: "https://c:1",
      answer: { kind: "reachable", clockOffsetMs: undefined },
    } as const;
    const judge = (...endpoints: EndpointFacts[]) =>
      preflight(clusters, [{ reader: "west", peer: "east", endpoints }]);
    expect(judge(dead, alive)).toEqual([]);
    expect(judge()).toEqual([]);
    expect(judge(dead)).toMatchObject([
      {
        severity: "error",
        rule: "peer-unreachable",
        message:
          'The apiserver of cluster "west" does not reach the etcd of cluster "east" at https://a:1: refused',
      },
    ]);
    expect(judge(dead, strange)[0]?.message).toMatch(/ at any of 2 endpoints: https:\/\/b:1: who$/);
  });

  test("only warns of other versions", () => {
    const findings = preflight([east.make(), west.make({ version: "0.2.0" })]);
    expect(findings).toMatchObject([{ severity: "warning", rule: "version" }]);
    expect(hasErrors(findings)).toBe(false);
  });

  test("names a few of many overlaps and counts the rest", () => {
    const many = (cluster: string) =>
      Array.from({ length: 10 }, (_, i) => ({ prefix: `10.9.${i}.0/24`, cluster, node: "n" }));
    const findings = preflight([
      east.make({ prefixes: many("east") }),
      west.make({ prefixes: many("west") }),
    ]);
    expect(findings).toHaveLength(3);
    expect(findings[2]?.message).toMatch(/, and 7 more overlap$/);
  });
});
