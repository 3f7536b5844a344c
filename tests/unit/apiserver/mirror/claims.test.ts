import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createClaims } from "../../../../apiserver/mirror/claims.ts";
import {
  addressFromBytes,
  parsePrefix,
  prefixesOverlap,
  prefixFromAddress,
  type Prefix,
} from "../../../../mesh/core/address.ts";

describe("createClaims()", () => {
  const cases: [string, string, string, boolean][] = [
    ["the same address", "10.1.0.5", "10.1.0.5", true],
    ["another address", "10.1.0.5", "10.1.0.6", false],
    ["an address inside a prefix", "10.1.0.0/24", "10.1.0.5", true],
    ["an address outside a prefix", "10.1.0.0/24", "10.1.1.5", false],
    ["a prefix around an address", "10.1.0.5", "10.1.0.0/24", true],
    ["a prefix inside a prefix", "10.1.0.0/16", "10.1.7.0/24", true],
    ["a prefix around a prefix", "10.1.7.0/24", "10.1.0.0/16", true],
    ["the neighbouring prefix", "10.1.7.0/24", "10.1.8.0/24", false],
    ["everything", "10.1.0.5", "0.0.0.0/0", true],
    ["the same IPv6 address", "fd01::5", "fd01::5", true],
    ["an IPv6 address inside a prefix", "fd01::/64", "fd01::5", true],
    ["an IPv6 prefix around an address", "fd01::5", "fd01::/16", true],
    ["an IPv6 address outside", "fd01::/64", "fd01:0:0:1::5", false],
    ["the other family", "0.0.0.0/0", "fd01::5", false],
  ];
  for (const [what, held, wanted, conflicts] of cases) {
    test(`take() ${conflicts ? "refuses" : "grants"} ${what}`, () => {
      const claims = createClaims();
      expect(claims.take("west", [held])).toBeUndefined();
      const refusal = { prefix: wanted, owner: "west" };
      expect(claims.take("north", [wanted])).toEqual(conflicts ? refusal : undefined);
      expect(claims.take("west", [wanted])).toEqual(
        conflicts ? undefined : { prefix: wanted, owner: "north" },
      );
    });
  }

  test("take() claims all or nothing", () => {
    const claims = createClaims();
    claims.take("west", ["10.2.0.0/24"]);
    expect(claims.take("north", ["10.3.0.5", "10.2.0.5"])?.owner).toBe("west");
    expect(claims.take("west", ["10.3.0.5"])).toBeUndefined();
  });

  test("release() frees an address when every claim of it is given back", () => {
    const claims = createClaims();
    claims.take("west", ["10.2.0.5", "10.2.0.5"]);
    claims.take("west", ["10.2.0.5"]);
    claims.release("west", ["10.2.0.5", "10.2.0.5"]);
    expect(claims.conflict("north", "10.2.0.0/16")).toEqual({
      prefix: "10.2.0.0/16",
      owner: "west",
    });
    claims.release("west", ["10.2.0.5"]);
    expect(claims.take("north", ["10.2.0.0/16"])).toBeUndefined();
    expect(claims.releases).toBe(2);
  });

  test("seize() makes our own ours, also against an earlier claim", () => {
    const claims = createClaims();
    claims.take("west", ["10.2.0.5"]);
    claims.seize("east", ["10.2.0.0/24"]);
    expect(claims.conflict("west", "10.2.0.5")?.owner).toBe("east");
    expect(claims.conflict("west", "10.2.0.6")?.owner).toBe("east");
    claims.release("west", ["10.2.0.5"]);
    expect(claims.take("west", ["10.2.0.5"])?.owner).toBe("east");
    expect(claims.seizures).toBe(1);
  });

  test("conflict() agrees with a plain look at every claim, whatever the history", () => {
    const prefix = fc
      .tuple(fc.boolean(), fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 3 }))
      .map(([v6, low, cut]): Prefix => {
        const bytes = new Uint8Array(v6 ? 16 : 4);
        bytes[0] = v6 ? 0xfd : 10;
        bytes[bytes.length - 1] = low;
        return prefixFromAddress(addressFromBytes(bytes), bytes.length * 8 - cut);
      });
    const step = fc.record({ owner: fc.constantFrom("a", "b", "c"), prefix, take: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const claims = createClaims();
        const held: { owner: string; prefix: Prefix }[] = [];
        for (const { owner, prefix: wanted, take } of steps) {
          const at = held.findIndex(
            (claim) => claim.owner === owner && claim.prefix.text === wanted.text,
          );
          if (!take && at >= 0) {
            held.splice(at, 1);
            claims.release(owner, [wanted.text]);
          } else if (take) {
            const others = held.filter(
              (claim) => claim.owner !== owner && prefixesOverlap(claim.prefix, wanted),
            );
            const conflict = claims.take(owner, [wanted.text]);
            expect(conflict !== undefined).toBe(others.length > 0);
            if (conflict === undefined) held.push({ owner, prefix: parsePrefix(wanted.text) });
          }
        }
      }),
    );
  });
});
