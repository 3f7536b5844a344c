import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  createSelector,
  labelsFromTexts,
  selectorMatches,
  selectorText,
  type Requirement,
  type SelectorOperator,
} from "../../../../mesh/core/selector.ts";

const CART = labelsFromTexts(["k8s:app=cart", "k8s:tier=", "k8s:io.kubernetes.pod.namespace=shop"]);

function requirement(key: string, operator: SelectorOperator, ...values: string[]): Requirement {
  return { key, operator, values };
}

describe("createSelector()", () => {
  test("sorts requirements and values, and keeps each once", () => {
    const selector = createSelector([
      requirement("k8s:b", "In", "2", "1", "2"),
      requirement("k8s:a", "Exists"),
      requirement("k8s:b", "In", "1", "2"),
    ]);
    expect(selector).toEqual([
      requirement("k8s:a", "Exists"),
      requirement("k8s:b", "In", "1", "2"),
    ]);
  });

  test("gives the same text for the same conditions, whatever their order", () => {
    const operator = fc.constantFrom<SelectorOperator>("In", "NotIn", "Exists", "DoesNotExist");
    const one = fc
      .tuple(fc.constantFrom("k8s:a", "any:b"), operator, fc.array(fc.constantFrom("1", "2")))
      .map(([key, how, values]) =>
        requirement(key, how, ...(how === "In" || how === "NotIn" ? values : [])),
      );
    fc.assert(
      fc.property(fc.array(one), (requirements) => {
        const selector = createSelector(requirements);
        const turned = createSelector([...requirements].reverse());
        expect(turned).toEqual(selector);
        expect(selectorText(turned)).toBe(selectorText(selector));
        expect(createSelector(selector)).toEqual(selector);
      }),
    );
  });
});

test("selectorText() reads as people write selectors", () => {
  const selector = createSelector([
    requirement("k8s:app", "In", "cart"),
    requirement("k8s:tier", "In", "b", "a"),
    requirement("any:env", "NotIn", "dev"),
    requirement("k8s:x", "Exists"),
    requirement("k8s:y", "DoesNotExist"),
  ]);
  expect(selectorText(selector)).toBe(
    "!k8s:y, any:env notin (dev), k8s:app=cart, k8s:tier in (a,b), k8s:x",
  );
  expect(selectorText([])).toBe("");
});

describe("selectorMatches()", () => {
  const cases: [string, Requirement[], boolean][] = [
    ["everything without requirements", [], true],
    ["one value", [requirement("k8s:app", "In", "cart")], true],
    ["one of several values", [requirement("k8s:app", "In", "a", "cart")], true],
    ["no other value", [requirement("k8s:app", "In", "db")], false],
    ["nothing where the key is missing", [requirement("k8s:zone", "In", "a")], false],
    ["nothing in an empty list of values", [requirement("k8s:app", "In")], false],
    ["an empty value", [requirement("k8s:tier", "In", "")], true],
    ["NotIn another value", [requirement("k8s:app", "NotIn", "db")], true],
    ["not NotIn its value", [requirement("k8s:app", "NotIn", "cart")], false],
    ["NotIn where the key is missing", [requirement("k8s:zone", "NotIn", "a")], true],
    ["Exists", [requirement("k8s:app", "Exists")], true],
    ["Exists with an empty value", [requirement("k8s:tier", "Exists")], true],
    ["not Exists", [requirement("k8s:zone", "Exists")], false],
    ["DoesNotExist", [requirement("k8s:zone", "DoesNotExist")], true],
    ["not DoesNotExist", [requirement("k8s:app", "DoesNotExist")], false],
    ["a key of any source", [requirement("any:app", "In", "cart")], true],
    ["no key of another source", [requirement("reserved:app", "In", "cart")], false],
    ["no DoesNotExist of any source", [requirement("any:app", "DoesNotExist")], false],
    [
      "all requirements together",
      [requirement("k8s:app", "In", "cart"), requirement("k8s:zone", "Exists")],
      false,
    ],
  ];
  test.each(cases)("means %s", (_, requirements, matches) => {
    expect(selectorMatches(createSelector(requirements), CART)).toBe(matches);
  });

  test("looks at every source where the key names none", () => {
    const labels = labelsFromTexts(["k8s:app=a", "container:app=b"]);
    expect(selectorMatches([requirement("any:app", "In", "b")], labels)).toBe(true);
    expect(selectorMatches([requirement("any:app", "NotIn", "b")], labels)).toBe(false);
  });
});

test("labelsFromTexts() ends the key at the first equals sign", () => {
  expect([...labelsFromTexts(["k8s:a=b=c", "k8s:empty=", "reserved:host"])]).toEqual([
    ["k8s:a", "b=c"],
    ["k8s:empty", ""],
    ["reserved:host", ""],
  ]);
});
