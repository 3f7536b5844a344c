import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { QUARANTINE_MS, type AllocatorState } from "../../../../apiserver/identity/allocator.ts";
import {
  MAX_SHARD_BYTES,
  NEXT_MARGIN,
  SHARD_IDENTITIES,
  shardCount,
  shardFromState,
  shardIndex,
  stateFromShards,
  type Shard,
} from "../../../../apiserver/identity/shards.ts";
import { identityRange } from "../../../../mesh/core/identity.ts";

const NOW = Date.UTC(2026, 0, 1);
const east = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const small = { name: "east", id: 300, maxConnectedClusters: 511 } as const;
const { first, last } = identityRange(east.id, east.maxConnectedClusters);
const OWN = "k8s:io.cilium.k8s.policy.cluster=east";
const labelsOf = (text: string): string[] => [`k8s:app=${text}`, OWN];

function shardsOf(state: AllocatorState, cluster: typeof east | typeof small = east): Shard[] {
  return Array.from({ length: shardCount(cluster) }, (_, index) => ({
    index,
    data: shardFromState(state, { index, cluster }),
  }));
}

const restored = (shards: readonly Shard[], cluster: typeof east | typeof small = east) =>
  stateFromShards(shards, { cluster, nowMs: NOW });

const byNumber = <T extends { number: number }>(rows: readonly T[]): T[] =>
  [...rows].sort((a, b) => a.number - b.number);

/** States as an allocator may have them: no number twice, no label set twice. */
const states = (cluster: typeof east | typeof small) => {
  const range = identityRange(cluster.id, cluster.maxConnectedClusters);
  const number = fc.integer({ min: range.first, max: range.last });
  return fc
    .record({
      next: number,
      numbers: fc.uniqueArray(number, { maxLength: 60 }),
      cut: fc.nat(60),
      ages: fc.array(fc.nat(QUARANTINE_MS), { minLength: 60, maxLength: 60 }),
    })
    .map(({ next, numbers, cut, ages }): AllocatorState => {
      const identities = numbers.slice(0, cut);
      const retired = numbers.slice(cut);
      return {
        next,
        identities: identities.map((own) => ({ number: own, labels: labelsOf(`a${own}`) })),
        retired: retired.map((own, at) => ({ number: own, atMs: NOW - (ages[at] ?? 0) })),
      };
    });
};

describe("shardFromState() and stateFromShards()", () => {
  for (const cluster of [east, small]) {
    test(`are each other's reverse in a mesh of ${cluster.maxConnectedClusters}`, () => {
      const range = identityRange(cluster.id, cluster.maxConnectedClusters);
      fc.assert(
        fc.property(states(cluster), fc.infiniteStream(fc.nat()), (state, order) => {
          const shards = shardsOf(state, cluster)
            .map((shard) => ({ shard, at: order.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ shard }) => shard);
          const found = restored(shards, cluster);
          expect(found.faults).toEqual([]);
          expect(byNumber(found.state.identities)).toEqual(byNumber(state.identities));
          expect(byNumber(found.state.retired)).toEqual(byNumber(state.retired));
          if (state.identities.length + state.retired.length === 0) {
            expect(found.state.next).toBe(0);
            return;
          }
          const size = range.last - range.first + 1;
          const ahead = (found.state.next - state.next + size) % size;
          expect(ahead).toBe(NEXT_MARGIN);
        }),
      );
    });
  }

  test("one more identity changes one shard, or two where one is full", () => {
    fc.assert(
      fc.property(states(east), (state) => {
        const number = state.next;
        const taken = [...state.identities, ...state.retired].some((row) => row.number === number);
        fc.pre(!taken);
        const then = {
          ...state,
          next: number === last ? first : number + 1,
          identities: [...state.identities, { number, labels: labelsOf("new") }],
        };
        const after = shardsOf(then);
        const changed = shardsOf(state).filter(
          ({ index, data }) => JSON.stringify(data) !== JSON.stringify(after[index]?.data),
        );
        const atEdge = (number - first) % SHARD_IDENTITIES === 0;
        expect(changed.length).toBeLessThanOrEqual(atEdge ? 2 : 1);
      }),
    );
  });

  test("whatever stands in shards, no number means two things, and all bad ones are named", () => {
    const key = fc.oneof(
      fc.integer({ min: first - 2, max: first + 3_000 }).map(String),
      fc.integer({ min: first, max: first + 20 }).map((number) => `retired-${number}`),
      fc.constantFrom("next", "retired-", "", "-1", "065536", "99999999999", "__proto__"),
    );
    const value = fc.oneof(
      fc.constantFrom("a", "b").map((text) => `${labelsOf(text).join(";")};`),
      fc.constantFrom("", "{", "k8s:app=x;", "2026-01-01T00:00:00Z", "9999-01-01", "65540"),
      fc.string({ unit: "binary" }),
    );
    const shard = fc.record({ index: fc.nat(3), data: fc.dictionary(key, value) });
    fc.assert(
      fc.property(fc.array(shard, { maxLength: 6 }), (shards) => {
        const { state, faults } = restored(shards);
        const numbers = state.identities.map(({ number }) => number);
        const resting = state.retired.map(({ number }) => number);
        expect(new Set([...numbers, ...resting]).size).toBe(numbers.length + resting.length);
        const sets = state.identities.map(({ labels }) => labels.join(";"));
        expect(new Set(sets).size).toBe(sets.length);
        for (const number of [...numbers, ...resting]) {
          expect(number).toBeGreaterThanOrEqual(first);
          expect(number).toBeLessThanOrEqual(last);
        }
        for (const { atMs } of state.retired) expect(atMs).toBeLessThanOrEqual(NOW);
        const keys = shards.flatMap(({ data }) => Object.keys(data)).length;
        const good = keys - faults.length;
        expect(numbers.length).toBeLessThanOrEqual(good);
      }),
    );
  });
});

describe("shardFromState()", () => {
  test("writes what people can read", () => {
    const state = {
      next: first + 2,
      identities: [{ number: first, labels: labelsOf("cart") }],
      retired: [{ number: first + 1, atMs: NOW }],
    };
    expect(shardFromState(state, { index: 0, cluster: east })).toEqual({
      "65536": `k8s:app=cart;${OWN};`,
      "retired-65537": "2026-01-01T00:00:00.000Z",
      next: "65538",
    });
    expect(shardFromState(state, { index: 1, cluster: east })).toEqual({});
  });

  test("keeps the numbers of labels that are too large, so that they mean nothing else", () => {
    const long = "x".repeat(400);
    const count = SHARD_IDENTITIES;
    const state = {
      next: first + count,
      identities: Array.from({ length: count }, (_, at) => ({
        number: first + at,
        labels: [`k8s:a=${long}${at}`, `k8s:b=${long}`, `k8s:c=${long}`, OWN],
      })),
      retired: [],
    };
    const data = shardFromState(state, { index: 0, cluster: east });
    const bytes = Object.values(data).reduce((sum, text) => sum + text.length, 0);
    expect(bytes).toBeLessThanOrEqual(MAX_SHARD_BYTES + 10);
    const found = restored([{ index: 0, data }]);
    expect(found.state.identities.length + found.state.retired.length).toBe(count);
    expect(found.faults).toHaveLength(found.state.retired.length);
  });

  test("65,536 identities are 64 shards, each far below the limit of an object", () => {
    const labels = (at: number): string[] => [
      `k8s:app.kubernetes.io/instance=release-${at}`,
      "k8s:app.kubernetes.io/managed-by=Helm",
      `k8s:app.kubernetes.io/name=service-${at}`,
      `k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=team-${at % 100}`,
      OWN,
      "k8s:io.cilium.k8s.policy.serviceaccount=default",
      `k8s:io.kubernetes.pod.namespace=team-${at % 100}`,
    ];
    const identities = Array.from({ length: 65_536 }, (_, at) => ({
      number: first + at,
      labels: labels(at),
    }));
    expect(shardCount(east)).toBe(64);
    const state = { next: first, identities, retired: [] };
    for (const index of [0, 63]) {
      const data = shardFromState(state, { index, cluster: east });
      expect(JSON.stringify(data).length).toBeLessThan(400 * 1_024);
    }
    expect(shardIndex(last, east)).toBe(63);
    expect(shardFromState(state, { index: 63, cluster: east })["next"]).toBe(String(first));
  });
});

describe("stateFromShards()", () => {
  const good = `${labelsOf("a").join(";")};`;
  const cases: [what: string, data: Record<string, string>, message: string][] = [
    ["no labels", { "65537": "{oops" }, 'Cannot use "65537": '],
    ["another cluster's number", { "131072": good }, "want a number from 65536 to 131071"],
    ["no number", { cart: good }, "want a number from 65536 to 131071"],
    ["a number of another shard", { "66560": good }, "it belongs into shard 1"],
    ["labels twice", { "65537": good }, "its labels are those of 65536"],
    ["another cluster's labels", { "65537": "k8s:a=b;" }, OWN],
    ["no time", { "retired-65537": "soon" }, "want a time"],
    ["a wild next", { next: "7" }, "want a number from 65536 to 131071"],
  ];
  for (const [what, data, message] of cases) {
    test(`names ${what} and uses the rest`, () => {
      const { state, faults } = restored([{ index: 0, data: { "65536": good, ...data } }]);
      expect(state.identities).toEqual([{ number: 65_536, labels: labelsOf("a") }]);
      expect(faults).toHaveLength(1);
      expect(faults[0]?.message).toContain(message);
    });
  }

  test("a number whose labels cannot be read rests", () => {
    const { state } = restored([{ index: 0, data: { "65537": "half" } }]);
    expect(state.retired).toEqual([{ number: 65_537, atMs: NOW }]);
  });

  test("goes on behind the highest number where `next` is lost", () => {
    const { state } = restored([{ index: 0, data: { "65540": good } }]);
    expect(state.next).toBe(65_541 + NEXT_MARGIN);
  });
});
