import { describe, expect, test } from "@jest/globals";
import {
  createPolicyTarget,
  entryFromMapRow,
  mapKeyFromEntry,
} from "../../../../agent/apply/policy-target.ts";
import { entryKey, type PolicyEntry } from "../../../../agent/policy/entry.ts";
import { PolicyEnforcement, PolicyMode } from "../../../../bpf/gen/layout.ts";
import { policyNodeMap, policyStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createMemoryPolicyMaps } from "../../../../bpf/memory-policy-maps.ts";

const PLACE = { ifindex: 7, identity: 65_600 };

function entry(fields: Partial<PolicyEntry>): PolicyEntry {
  return {
    identity: 65_601,
    direction: "ingress",
    protocol: 6,
    port: 80,
    portPrefixBits: 16,
    verdict: "allow",
    rule: 1,
    ...fields,
  };
}

const byKey = (entries: readonly PolicyEntry[]) =>
  new Map(entries.map((one) => [entryKey(one), one]));

function create() {
  const policies = createMemoryPolicyMaps();
  const replaced: number[] = [];
  const maps = {
    policies: {
      ...policies,
      replace(...args: Parameters<typeof policies.replace>) {
        replaced.push(args[0]);
        policies.replace(...args);
      },
    },
    policyState: createMemoryMap(policyStateMap),
    policyNode: createMemoryMap(policyNodeMap),
  };
  const held = (): PolicyEntry[] => {
    using map = policies.open(PLACE.ifindex);
    return [...(map?.entries() ?? [])].map(entryFromMapRow);
  };
  const state = () => maps.policyState.get({ ifindex: PLACE.ifindex });
  return { maps, replaced, held, state, target: createPolicyTarget(maps) };
}

function whole(target: ReturnType<typeof createPolicyTarget>, entries: readonly PolicyEntry[]) {
  const all = byKey(entries);
  target.apply(PLACE, { kind: "whole", entries: all }, all);
}

describe("createPolicyTarget()", () => {
  test("writes all entries of a new endpoint, then its row", () => {
    const { target, held, state } = create();
    const entries = [entry({}), entry({ protocol: 0, port: 0, portPrefixBits: 0, identity: 11 })];
    whole(target, entries);
    expect(held()).toEqual(entries);
    expect(state()).toEqual({ identity: 65_600, revision: 1, enforcement: PolicyEnforcement.on });
  });

  test("adds allows in place, and judges no connection again for them", () => {
    const { target, held, state, replaced } = create();
    const [first, second] = [entry({}), entry({ port: 81 })];
    whole(target, [first]);
    const all = byKey([first, second]);
    target.apply(PLACE, { kind: "changed", put: [second], deleted: [] }, all);
    expect(held()).toEqual([first, second]);
    expect([state()?.revision, replaced.length]).toEqual([1, 1]);
  });

  test("takes an allow away in place, and has connections judged again", () => {
    const { target, held, state, replaced } = create();
    const [first, second] = [entry({}), entry({ port: 81 })];
    whole(target, [first, second]);
    target.apply(PLACE, { kind: "changed", put: [], deleted: [first] }, byKey([second]));
    expect(held()).toEqual([second]);
    expect([state()?.revision, replaced.length]).toEqual([2, 1]);
  });

  test("puts a new map in place where denies are about", () => {
    const { target, held, state, replaced } = create();
    const [first, deny] = [entry({}), entry({ port: 81, verdict: "deny" })];
    whole(target, [first]);
    target.apply(PLACE, { kind: "changed", put: [deny], deleted: [] }, byKey([first, deny]));
    expect(held()).toEqual([first, deny]);
    expect([state()?.revision, replaced.length]).toEqual([2, 2]);
    target.apply(PLACE, { kind: "changed", put: [], deleted: [deny] }, byKey([first]));
    expect([state()?.revision, replaced.length]).toEqual([3, 3]);
  });

  test("adopts the same policy with other rule numbers without a new revision", () => {
    const { maps, target, held, state } = create();
    whole(target, [entry({})]);
    const next = createPolicyTarget(maps);
    whole(next, [entry({ rule: 9 })]);
    expect(held()).toEqual([entry({ rule: 9 })]);
    expect(state()?.revision).toBe(1);
    whole(next, [entry({ rule: 9 }), entry({ port: 81 })]);
    expect(state()?.revision).toBe(2);
  });

  test("closes an endpoint, and opens it again with all of its entries", () => {
    const { target, held, state } = create();
    whole(target, [entry({})]);
    target.apply(PLACE, { kind: "closed", reason: "too-many-entries" }, new Map());
    expect([held(), state()?.enforcement]).toEqual([[], PolicyEnforcement.closed]);
    whole(target, [entry({})]);
    expect([held().length, state()?.enforcement]).toEqual([1, PolicyEnforcement.on]);
  });

  test("another identity is another edition: connections are judged again", () => {
    const { target, state } = create();
    whole(target, [entry({})]);
    target.rename({ ifindex: 7, identity: 65_700 });
    expect(state()).toMatchObject({ identity: 65_700, revision: 2 });
    target.rename({ ifindex: 8, identity: 65_700 });
    expect(state()?.revision).toBe(2);
  });

  test("removes what is gone, and what earlier agents left", () => {
    const { maps, target } = create();
    whole(target, [entry({})]);
    const all = byKey([entry({})]);
    for (const ifindex of [8, 9]) {
      target.apply({ ifindex, identity: 65_600 }, { kind: "whole", entries: all }, all);
    }
    target.remove(8);
    target.prune(new Set([7]));
    expect(maps.policies.endpoints()).toEqual([7]);
    expect([...maps.policyState.entries()].map(([{ ifindex }]) => ifindex)).toEqual([7]);
  });

  test("writes the mode of the node once", () => {
    const { maps, target } = create();
    target.setMode("closed");
    const { writes } = maps.policyNode;
    target.setMode("closed");
    expect([maps.policyNode.get(0)?.mode, maps.policyNode.writes]).toEqual([
      PolicyMode.closed,
      writes,
    ]);
    target.setMode("open");
    expect(maps.policyNode.get(0)?.mode).toBe(PolicyMode.open);
  });
});

test.each([
  [entry({ protocol: 0, port: 0, portPrefixBits: 0 }), 40],
  [entry({ port: 0, portPrefixBits: 0 }), 48],
  [entry({ port: 8080, portPrefixBits: 13 }), 61],
  [entry({ direction: "egress", verdict: "deny" }), 64],
])("an entry and its row say the same", (one, prefixLength) => {
  const { maps, target, held } = create();
  expect(mapKeyFromEntry(one).prefixLength).toBe(prefixLength);
  whole(target, [one]);
  expect(held()).toEqual([one]);
  expect(maps.policies.endpoints()).toEqual([7]);
});
