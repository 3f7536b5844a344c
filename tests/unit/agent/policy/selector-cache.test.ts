import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  createSelectorCache,
  type CachedSelector,
} from "../../../../agent/policy/selector-cache.ts";
import {
  createSelector,
  labelsFromTexts,
  selectorMatches,
  type LabelSelector,
} from "../../../../mesh/core/selector.ts";

const app = (...values: string[]): LabelSelector =>
  createSelector([{ key: "k8s:app", operator: "In", values }]);

describe("selector cache", () => {
  test("keeps equal selectors once, for as long as somebody uses them", () => {
    const cache = createSelectorCache({ onChange: () => {} });
    const first = cache.acquire(app("web", "cart"));
    expect(cache.acquire(app("cart", "web"))).toBe(first);
    cache.release(first);
    expect(cache.size).toBe(1);
    cache.release(first);
    expect(cache.size).toBe(0);
    cache.setIdentity(300, ["k8s:app=web"]);
    expect([...cache.selectorsOf(300)]).toEqual([]);
  });

  test("tells selectors apart whose texts for people are the same", () => {
    const cache = createSelectorCache({ onChange: () => {} });
    cache.setIdentity(300, ["k8s:app=a,b"]);
    expect([...cache.acquire(app("a,b", "c")).members]).toEqual([300]);
    expect([...cache.acquire(app("a", "b,c")).members]).toEqual([]);
  });

  test("says who joins and who leaves, not what was so when the selector came", () => {
    const changes: [string, number, boolean][] = [];
    const cache = createSelectorCache({
      onChange: ({ key, members }, identity) =>
        changes.push([key, identity, members.has(identity)]),
    });
    cache.setIdentity(300, ["k8s:app=web"]);
    const { key } = cache.acquire(app("web"));
    cache.setIdentity(301, ["k8s:app=web", "k8s:tier=front"]);
    cache.setIdentity(301, ["k8s:app=web"]);
    cache.setIdentity(300, ["k8s:app=db"]);
    cache.setIdentity(301, undefined);
    expect(changes).toEqual([
      [key, 301, true],
      [key, 300, false],
      [key, 301, false],
    ]);
    expect([cache.has(300), cache.has(301)]).toEqual([true, false]);
  });

  test("means who the selectors mean, however identities and selectors come and go", () => {
    const labels = fc.subarray(["k8s:a=1", "k8s:b=1", "k8s:b=2", "any-source:a=1", "x:b=2"]);
    const requirement = fc.record({
      key: fc.constantFrom("k8s:a", "k8s:b", "any:a", "any:b", "x:b"),
      operator: fc.constantFrom("In", "NotIn", "Exists", "DoesNotExist"),
      values: fc.subarray(["1", "2"]),
    }) as fc.Arbitrary<LabelSelector[number]>;
    const selector = fc.array(requirement, { maxLength: 3 }).map(createSelector);
    const step = fc.oneof(
      fc.record({ identity: fc.nat(5), labels: fc.option(labels, { nil: undefined }) }),
      fc.record({ selector }),
      fc.record({ released: fc.nat(10) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const cache = createSelectorCache({ onChange: () => {} });
        const identities = new Map<number, readonly string[]>();
        const acquired: CachedSelector[] = [];
        for (const each of steps) {
          if ("selector" in each) {
            acquired.push(cache.acquire(each.selector));
          } else if ("released" in each) {
            for (const gone of acquired.splice(each.released, 1)) cache.release(gone);
          } else {
            cache.setIdentity(each.identity, each.labels);
            if (each.labels === undefined) identities.delete(each.identity);
            else identities.set(each.identity, each.labels);
          }
        }
        for (const { selector: wanted, members } of acquired) {
          const meant = [...identities].filter(([, texts]) =>
            selectorMatches(wanted, labelsFromTexts(texts)),
          );
          expect(members).toEqual(new Set(meant.map(([identity]) => identity)));
        }
        for (const identity of identities.keys()) {
          const wanted = acquired.filter(({ members }) => members.has(identity));
          expect(new Set(cache.selectorsOf(identity))).toEqual(new Set(wanted));
        }
      }),
      { numRuns: 500 },
    );
  });
});
