import { describe, expect, test } from "@jest/globals";
import { createCidrNumbers, type CidrNumbers } from "../../../../agent/policy/cidr-numbers.ts";
import { cidrKey, createCidrSets, type CidrSets } from "../../../../agent/policy/cidr-sets.ts";
import { FIRST_CIDR_NUMBER as FIRST } from "../../../../agent/policy/entry.ts";
import { parsePrefix } from "../../../../mesh/core/address.ts";

function start(): {
  readonly sets: CidrSets;
  readonly numbers: CidrNumbers;
  readonly told: string[];
} {
  const told: string[] = [];
  const numbers = createCidrNumbers({
    adopted: [],
    onChange: (numbered, what) => sets.follow(numbered, what),
  });
  const sets = createCidrSets({
    numbers,
    onChange: ({ key, members }, number) =>
      told.push(`${key}: ${members.has(number) ? "+" : "-"}${number - FIRST}`),
  });
  return { sets, numbers, told };
}

const members = (set: { readonly members: ReadonlySet<number> }): number[] =>
  [...set.members]
    .map((number) => (number < FIRST ? number : number - FIRST))
    .sort((a, b) => a - b);

describe("sets of CIDRs", () => {
  test("mean each prefix in them but the exceptions and what lies in these", () => {
    const { sets } = start();
    const set = sets.acquire("10.0.0.0/8", ["10.1.0.0/16"]);
    expect(members(set)).toEqual([0]);
    // In the CIDR, in the exception, around both, beside them.
    for (const cidr of ["10.2.0.0/16", "10.1.2.0/24", "8.0.0.0/5", "11.0.0.0/8"]) {
      sets.acquire(cidr, []);
    }
    expect(members(set)).toEqual([0, 2]);
    expect(members(sets.acquire("0.0.0.0/0", ["10.0.0.0/8"]))).toEqual([4, 5, 9]);
  });

  test("equal ones are one, in whatever order exceptions are named", () => {
    const { sets } = start();
    const set = sets.acquire("10.0.0.0/8", ["10.1.0.0/16", "10.2.0.0/16"]);
    expect(sets.acquire("10.0.0.0/8", ["10.2.0.0/16", "10.1.0.0/16", "10.1.0.0/16"])).toBe(set);
    expect(cidrKey("10.0.0.0/8", [])).not.toBe(cidrKey("10.0.0.0/8", ["10.1.0.0/16"]));
  });

  test("are told of, and give back what they named", () => {
    const { sets, numbers, told } = start();
    sets.acquire("10.0.0.0/8", []);
    const inner = sets.acquire("10.1.0.0/16", []);
    numbers.takeRows();
    sets.release(inner);
    numbers.takeRows();
    numbers.retire();
    expect(told).toEqual(["10.0.0.0/8: +1", "10.0.0.0/8: -1"]);
    numbers.acquire(parsePrefix("10.1.1.0/24"));
    expect(told).toHaveLength(3);
  });
});
