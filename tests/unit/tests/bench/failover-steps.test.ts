// How the benchmark reads the steps of a failover out of an agent's timeline.
import { describe, expect, test } from "@jest/globals";
import type { TimelineEntry } from "../../../../mesh/operations/questions.ts";
import { stepsOf } from "../../../bench/failover-steps.ts";

const CUT = { lost: "west", atMs: 1_000 };

function entry(
  timeMs: number,
  what: TimelineEntry["what"],
  text = 'Cluster "west" is down over IPv4',
  cluster = "west",
): TimelineEntry {
  return { timeMs, what, cluster, text };
}

describe("stepsOf()", () => {
  test("measures the first step from the cut, the others from the step before", () => {
    const entries = [
      entry(1_400, "detected"),
      entry(1_403, "decided"),
      entry(1_404, "applied"),
      entry(1_410, "flows-reset", "3 flows ended"),
    ];
    expect(stepsOf(entries, CUT)).toEqual([
      { detection: 400, decision: 3, apply: 1, "flows reset": 6 },
    ]);
  });

  test("has one for every family, each with its own times", () => {
    const ipv6 = 'Cluster "west" is down over IPv6';
    const entries = [
      entry(1_400, "detected"),
      entry(1_403, "decided"),
      entry(1_404, "applied"),
      entry(1_410, "flows-reset", "3 flows ended"),
      entry(1_500, "detected", ipv6),
      entry(1_505, "decided", ipv6),
      entry(1_506, "applied", ipv6),
      entry(1_516, "flows-reset", "1 flow ended"),
    ];
    expect(stepsOf(entries, CUT)).toEqual([
      { detection: 400, decision: 3, apply: 1, "flows reset": 6 },
      { detection: 500, decision: 5, apply: 1, "flows reset": 10 },
    ]);
  });

  test("leaves out other clusters, single nodes, and resets from before it was down", () => {
    const entries = [
      entry(1_100, "flows-reset", "a drain's"),
      entry(1_200, "detected", 'Node "west-node1" of cluster "west" is down'),
      entry(1_300, "detected", 'Cluster "north" is down over IPv4', "north"),
      entry(1_400, "detected"),
      entry(1_403, "decided"),
      entry(1_404, "applied"),
      entry(1_410, "flows-reset", "3 flows ended"),
    ];
    expect(stepsOf(entries, CUT)).toEqual([
      { detection: 400, decision: 3, apply: 1, "flows reset": 6 },
    ]);
  });

  test("knows no time for a step that has not come", () => {
    const entries = [entry(1_400, "detected"), entry(1_403, "decided")];
    expect(stepsOf(entries, CUT)).toEqual([
      { detection: 400, decision: 3, apply: Number.NaN, "flows reset": Number.NaN },
    ]);
    expect(stepsOf([], CUT)).toEqual([]);
  });
});
