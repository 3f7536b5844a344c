// What a watch is asked for.
import { expect, test } from "@jest/globals";
import { WATCH_MAX_KEYS, watchTargetFrom } from "../../../../mesh/kvstore/store.ts";

test("watchTargetFrom() bounds a plain prefix and leaves a target as it is", () => {
  expect(watchTargetFrom("a/")).toEqual({ prefix: "a/", maxKeys: WATCH_MAX_KEYS });
  const target = { prefix: "a/", maxKeys: 5, exact: true };
  expect(watchTargetFrom(target)).toBe(target);
});
