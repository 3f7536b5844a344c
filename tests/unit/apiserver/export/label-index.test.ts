import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { LabelIndex, SelectorIndex } from "../../../../apiserver/export/label-index.ts";

const labels = fc
  .dictionary(fc.constantFrom("app", "tier", "zone"), fc.constantFrom("a", "b"), { maxKeys: 3 })
  .map((fields) => new Map(Object.entries(fields)));
const namespace = fc.constantFrom("shop", "bank");

function matches(selector: ReadonlyMap<string, string>, pod: ReadonlyMap<string, string>): boolean {
  return selector.size > 0 && [...selector].every(([name, value]) => pod.get(name) === value);
}

describe("LabelIndex and SelectorIndex", () => {
  test("find exactly what a look at every pod and service would find", () => {
    const objects = fc.array(fc.record({ namespace, labels, keep: fc.boolean() }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(objects, objects, (pods, services) => {
        const podIndex = new LabelIndex();
        const selectorIndex = new SelectorIndex();
        pods.forEach((pod, key) => podIndex.add(`${key}`, pod));
        services.forEach((one, key) =>
          selectorIndex.add(`${key}`, { ...one, selector: one.labels }),
        );
        pods.forEach((pod, key) => pod.keep || podIndex.remove(`${key}`, pod));
        services.forEach(
          (one, key) =>
            one.keep || selectorIndex.remove(`${key}`, { ...one, selector: one.labels }),
        );
        for (const service of services) {
          const found = podIndex.select(service.namespace, service.labels);
          const wanted = [...pods.entries()].filter(
            ([, pod]) =>
              pod.keep &&
              pod.namespace === service.namespace &&
              matches(service.labels, pod.labels),
          );
          expect(found.sort()).toEqual(wanted.map(([key]) => `${key}`).sort());
        }
        for (const pod of pods) {
          const found = selectorIndex.selecting(pod);
          const wanted = [...services.entries()].filter(
            ([, one]) =>
              one.keep && one.namespace === pod.namespace && matches(one.labels, pod.labels),
          );
          expect(found.sort()).toEqual(wanted.map(([key]) => `${key}`).sort());
        }
      }),
    );
  });
});
