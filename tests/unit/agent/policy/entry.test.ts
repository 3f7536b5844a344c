import { describe, expect, test } from "@jest/globals";
import { aggregateOf, entryKey, isOrdinaryIdentity } from "../../../../agent/policy/entry.ts";
import { RESERVED_IDENTITY } from "../../../../mesh/core/identity.ts";

const OWN = { first: 65_536, last: 131_071 };

describe("aggregateOf()", () => {
  test.each([
    ["the first identity of the own cluster", 65_536, 11],
    ["the last one", 131_071, 11],
    ["the first of another cluster", 131_072, 12],
    ["the last number of the mesh", 2 ** 24 - 1, 12],
    ["a mesh without cluster ids", 256, 12],
    ["a CIDR", 2 ** 24, 13],
    ["world", RESERVED_IDENTITY.world, 13],
    ["world-ipv4", RESERVED_IDENTITY["world-ipv4"], 13],
    ["world-ipv6", RESERVED_IDENTITY["world-ipv6"], 13],
  ])("%s has one", (_, identity, aggregate) => {
    expect(aggregateOf(identity, OWN)).toBe(aggregate);
  });

  test("what is neither a pod nor the world has none", () => {
    const { world: _, "world-ipv4": __, "world-ipv6": ___, ...others } = RESERVED_IDENTITY;
    for (const identity of [...Object.values(others), 102, 255]) {
      expect(aggregateOf(identity, OWN)).toBeUndefined();
    }
  });

  test("of a cluster without an id, its own identities begin behind the reserved ones", () => {
    const range = { first: 0, last: 65_535 };
    expect(aggregateOf(256, range)).toBe(11);
    expect(aggregateOf(RESERVED_IDENTITY.host, range)).toBeUndefined();
    expect(isOrdinaryIdentity(255)).toBe(false);
  });
});

describe("entryKey()", () => {
  test("tells keys apart and nothing else", () => {
    const key = { identity: 65_601, direction: "ingress", protocol: 6, port: 80 } as const;
    expect(entryKey({ ...key, portPrefixBits: 16 })).toBe("ingress 65601 6 80/16");
    expect(entryKey({ ...key, portPrefixBits: 15 })).toBe("ingress 65601 6 80/15");
  });
});
