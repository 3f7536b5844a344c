import { describe, expect, test } from "@jest/globals";
import { createRuleNumbers, RETIRED_RULES_MAX } from "../../../../agent/policy/rule-numbers.ts";

const name = (i: number) => ({ policy: `NetworkPolicy/shop/p${i}`, path: "spec.ingress[0]" });

describe("numbers of rules", () => {
  test("one rule has one number, in the order of objects and paths", () => {
    const numbers = createRuleNumbers({ first: 7 });
    const [a, b] = [numbers.acquire(name(1)), numbers.acquire(name(2))];
    expect([a.number, b.number]).toEqual([7, 8]);
    expect(numbers.acquire(name(1))).toBe(a);
    expect(a.order < b.order).toBe(true);
    expect(numbers.nameOf(8)).toEqual(name(2));
    expect(numbers.nameOf(9)).toBeUndefined();
  });

  test("a rule that is gone is remembered, and has its number when it returns", () => {
    const numbers = createRuleNumbers({ first: 1 });
    numbers.release(numbers.acquire(name(1)));
    expect(numbers.nameOf(1)).toEqual(name(1));
    expect(numbers.acquire(name(1)).number).toBe(1);
  });

  test("the oldest is forgotten when too many are gone, and its number means nothing else", () => {
    const numbers = createRuleNumbers({ first: 1 });
    const kept = numbers.acquire(name(0));
    for (let i = 1; i <= RETIRED_RULES_MAX + 1; i++) numbers.release(numbers.acquire(name(i)));
    expect(numbers.nameOf(2)).toBeUndefined();
    expect(numbers.nameOf(3)).toEqual(name(2));
    expect(numbers.nameOf(kept.number)).toEqual(name(0));
    expect(numbers.acquire(name(1)).number).toBe(RETIRED_RULES_MAX + 3);
  });
});
