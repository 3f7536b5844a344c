import { describe, expect, test } from "@jest/globals";
import { createCidrNumbers, type CidrNumbers } from "../../../../agent/policy/cidr-numbers.ts";
import { FIRST_CIDR_NUMBER, LAST_CIDR_NUMBER } from "../../../../agent/policy/entry.ts";
import { parsePrefix } from "../../../../mesh/core/address.ts";

interface Started {
  readonly numbers: CidrNumbers;
  readonly told: string[];
}

function start(adopted: readonly (readonly [string, number])[] = []): Started {
  const told: string[] = [];
  const numbers = createCidrNumbers({
    adopted,
    onChange: ({ prefix, number }, what) => told.push(`${prefix.text} ${number - FIRST} ${what}`),
  });
  return { numbers, told };
}

const FIRST = FIRST_CIDR_NUMBER;
const NOTHING = { put: [], deleted: [] };
const SHIELD = { prefix: "0.0.0.0/0", identity: 9 };
const row = (prefix: string, i: number): object => ({ prefix, identity: FIRST + i });

function acquire(numbers: CidrNumbers, ...texts: readonly string[]): void {
  for (const text of texts) numbers.acquire(parsePrefix(text));
}

function release(numbers: CidrNumbers, ...texts: readonly string[]): void {
  for (const text of texts) numbers.release(parsePrefix(text));
}

describe("numbers of CIDRs", () => {
  test("a prefix has one for as long as anybody names it, and a row", () => {
    const { numbers, told } = start();
    acquire(numbers, "10.0.0.0/8", "10.0.0.0/8", "fd00::/16");
    expect(numbers.isNew).toBe(true);
    expect(numbers.takeRows()).toEqual({
      put: [row("10.0.0.0/8", 0), row("fd00::/16", 1)],
      deleted: [],
    });
    expect(numbers.isNew).toBe(false);
    release(numbers, "10.0.0.0/8");
    expect(numbers.takeRows()).toEqual(NOTHING);
    release(numbers, "10.0.0.0/8");
    expect(numbers.takeRows()).toEqual({ put: [], deleted: [row("10.0.0.0/8", 0)] });
    expect(numbers.rows()).toEqual([row("fd00::/16", 1)]);
    expect(told).toEqual(["10.0.0.0/8 0 came", "fd00::/16 1 came"]);
  });

  test("a number outlives its row until what was taken is applied", () => {
    const { numbers, told } = start();
    acquire(numbers, "10.0.0.0/8");
    numbers.takeRows();
    release(numbers, "10.0.0.0/8");
    numbers.retire();
    numbers.takeRows();
    expect([told.length, numbers.isResting]).toEqual([1, true]);
    numbers.retire();
    expect(told).toEqual(["10.0.0.0/8 0 came", "10.0.0.0/8 0 went"]);
    expect(numbers.isResting).toBe(false);
  });

  test("what is named again meanwhile keeps its number", () => {
    const { numbers, told } = start();
    acquire(numbers, "10.0.0.0/8");
    numbers.takeRows();
    release(numbers, "10.0.0.0/8");
    numbers.takeRows();
    acquire(numbers, "10.0.0.0/8");
    numbers.retire();
    expect(numbers.takeRows()).toEqual({ put: [row("10.0.0.0/8", 0)], deleted: [] });
    expect(told).toEqual(["10.0.0.0/8 0 came"]);
  });

  test("a number is not given out again while there is another", () => {
    const { numbers } = start();
    for (const text of ["10.0.0.0/8", "11.0.0.0/8"]) {
      acquire(numbers, text);
      release(numbers, text);
      numbers.takeRows();
      numbers.retire();
    }
    acquire(numbers, "10.0.0.0/8");
    expect(numbers.takeRows().put).toEqual([row("10.0.0.0/8", 2)]);
  });

  test("0.0.0.0/0 and ::/0 are the world's own, in which everything lies", () => {
    const { numbers } = start();
    acquire(numbers, "0.0.0.0/0", "::/0", "10.0.0.0/8", "fd00::/16");
    const within = (text: string): number[] =>
      [...numbers.within(parsePrefix(text))].map(({ number }) => number);
    expect(within("0.0.0.0/0")).toEqual([9, FIRST]);
    expect(within("::/0")).toEqual([10, FIRST + 1]);
    expect(numbers.takeRows().put).toHaveLength(2);
  });

  test("an address is known by the longest prefix that is named", () => {
    const { numbers } = start();
    acquire(numbers, "10.0.0.0/8", "10.1.0.0/16");
    const known = ["10.1.2.3", "10.2.2.3", "11.0.0.1", "fd00::1"];
    expect(known.map((address) => numbers.numberOfAddress(address))).toEqual([
      FIRST + 1,
      FIRST,
      9,
      10,
    ]);
    numbers.takeRows();
    release(numbers, "10.1.0.0/16");
    expect(numbers.numberOfAddress("10.1.2.3")).toBe(FIRST);
  });
});

describe("the shield of IPv4", () => {
  test("stands before the first IPv6 prefix that covers it, and goes after the last", () => {
    const { numbers } = start();
    acquire(numbers, "::/64", "::/80", "fd00::/16");
    expect(numbers.takeRows().put[0]).toEqual(SHIELD);
    expect(numbers.rows()[0]).toEqual(SHIELD);
    release(numbers, "::/64");
    expect(numbers.takeRows().deleted).toEqual([row("::/64", 0)]);
    release(numbers, "::/80");
    expect(numbers.takeRows().deleted).toEqual([row("::/80", 1), SHIELD]);
  });

  test("is not wanted for IPv6 beside it, nor for what stands for IPv4 itself", () => {
    const { numbers } = start();
    acquire(numbers, "::/0", "::fffe:0:0/95", "::ffff:0.0.0.0/96", "::ffff:10.0.0.0/104", "::/97");
    // ::fffe:0:0/95 does cover ::ffff:0:0/96; the prefixes in there have no row, nor a number.
    const { put } = numbers.takeRows();
    expect(put.map(({ prefix }) => prefix)).toEqual(["0.0.0.0/0", "::fffe:0:0/95", "::/97"]);
  });
});

describe("rows of an earlier agent", () => {
  const adopted = [
    ["10.0.0.0/8", FIRST + 40],
    ["11.0.0.0/8", FIRST],
    ["0.0.0.0/0", 9],
    ["::/64", FIRST + 41],
  ] as const;

  test("what is still named keeps its number, and nothing else has one of theirs", () => {
    const { numbers } = start(adopted);
    acquire(numbers, "10.0.0.0/8", "12.0.0.0/8", "::/64");
    expect(numbers.isNew).toBe(true);
    // Whoever writes rows is told of those too that are there, before any of them goes.
    const { put, deleted } = numbers.takeRows();
    expect(new Set(put)).toEqual(
      new Set([
        SHIELD,
        row("10.0.0.0/8", 40),
        row("11.0.0.0/8", 0),
        row("::/64", 41),
        row("12.0.0.0/8", 1),
      ]),
    );
    expect([deleted, numbers.isResting]).toEqual([[], true]);
    expect(numbers.takeRows()).toEqual({ put: [], deleted: [row("11.0.0.0/8", 0)] });
    expect(numbers.takeRows()).toEqual(NOTHING);
  });

  test("what is there already is nothing to wait for", () => {
    const { numbers } = start(adopted);
    acquire(numbers, "10.0.0.0/8");
    expect(numbers.isNew).toBe(false);
  });

  test("what is not goes like any other, the shield too", () => {
    const { numbers, told } = start(adopted);
    expect([...numbers.within(parsePrefix("10.0.0.0/7"))]).toHaveLength(2);
    numbers.takeRows();
    expect(numbers.takeRows().deleted.at(-1)).toEqual(SHIELD);
    numbers.retire();
    expect(told).toHaveLength(3);
  });

  test("numbers that cannot be are not believed", () => {
    const { numbers } = start([
      ["10.0.0.0/8", 300],
      ["11.0.0.0/8", LAST_CIDR_NUMBER + 1],
      ["12.0.0.0/8", FIRST],
      ["13.0.0.0/8", FIRST],
    ]);
    acquire(numbers, "10.0.0.0/8", "13.0.0.0/8");
    expect(new Set(numbers.takeRows().put)).toEqual(
      new Set([row("10.0.0.0/8", 1), row("12.0.0.0/8", 0), row("13.0.0.0/8", 2)]),
    );
  });
});
