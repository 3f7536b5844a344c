import { expect, test } from "@jest/globals";
import { collectCounts } from "../../../../mesh/commands/bpf-drops.ts";

test("collectCounts() lists drops, then events, in words", () => {
  const counts = collectCounts({
    drops: {
      read: () =>
        new Map([
          ["none", 0n],
          ["noUsableCluster", 3n],
        ]),
    },
    counters: { read: () => new Map([["podToOverlay", 9n]]) },
  });
  expect(counts).toEqual([
    { kind: "drop", name: "no-usable-cluster", count: 3n },
    { kind: "event", name: "pod-to-overlay", count: 9n },
  ]);
});
