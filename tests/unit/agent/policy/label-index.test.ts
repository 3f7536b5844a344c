import { describe, expect, test } from "@jest/globals";
import { createLabelIndex, type LabelIndex } from "../../../../agent/policy/label-index.ts";
import { labelsFromTexts, type SelectorOperator } from "../../../../mesh/core/selector.ts";

function fill(): LabelIndex {
  const index = createLabelIndex();
  index.set(300, labelsFromTexts(["k8s:app=web", "k8s:zone=a"]));
  index.set(301, labelsFromTexts(["k8s:app=db"]));
  index.set(302, labelsFromTexts(["container:app=web"]));
  return index;
}

function held(index: LabelIndex, key: string, operator: SelectorOperator): number[] | undefined {
  const sets = index.holders({ key, operator, values: operator === "Exists" ? [] : ["web"] });
  return sets?.flatMap((set) => [...set]).sort();
}

describe("label index", () => {
  test("knows who has a label, of one source or of any", () => {
    const index = fill();
    expect(held(index, "k8s:app", "In")).toEqual([300]);
    expect(held(index, "any:app", "In")).toEqual([300, 302]);
    expect(held(index, "any:app", "Exists")).toEqual([300, 301, 302]);
    expect(held(index, "k8s:none", "Exists")).toEqual([]);
  });

  test("cannot say who has not", () => {
    expect(held(fill(), "k8s:app", "NotIn")).toBeUndefined();
    expect(held(fill(), "k8s:app", "DoesNotExist")).toBeUndefined();
  });

  test("follows changes, and forgets labels that nobody has", () => {
    const index = fill();
    index.set(300, labelsFromTexts(["k8s:app=db"]));
    expect(held(index, "k8s:app", "In")).toEqual([]);
    expect(index.holders({ key: "k8s:app", operator: "In", values: ["db"] })).toHaveLength(1);
    index.set(302, undefined);
    expect(held(index, "any:app", "Exists")).toEqual([300, 301]);
    expect(index.labelsOf(300)).toEqual(new Map([["k8s:app", "db"]]));
    expect(index.labelsOf(302)).toBeUndefined();
    expect([...index.identities()]).toEqual([300, 301]);
    expect([index.has(300), index.has(302)]).toEqual([true, false]);
  });
});
