import { expect, test } from "@jest/globals";
import { problemOf } from "../../../../agent/flows/node-flows.ts";

test("problemOf() names namespaces by their reasons, a few of each", () => {
  expect(problemOf(new Map())).toBe("");
  const failed = new Map([
    ["", "no sock_diag"],
    ...["a", "b", "c", "d", "e"].map((name) => [`/run/netns/${name}`, "EPERM"] as const),
  ]);
  expect(problemOf(failed)).toBe(
    "Flows cannot be ended in 6 network namespaces: the node's own (no sock_diag); " +
      "/run/netns/a, /run/netns/b, /run/netns/c, and 2 more (EPERM)",
  );
});
