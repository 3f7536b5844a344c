import { expect, test } from "@jest/globals";
import { createTimeline } from "../../../../agent/health/timeline.ts";

test("createTimeline() tells what happened since, and keeps a bounded number", () => {
  const timeline = createTimeline();
  const add = (timeMs: number): void =>
    timeline.add({ timeMs, what: "detected", cluster: "west", text: "" });
  for (let timeMs = 0; timeMs < 5_000; timeMs++) add(timeMs);
  expect(timeline.since(4_998).map(({ timeMs }) => timeMs)).toEqual([4_998, 4_999]);
  expect(timeline.since(0)).toHaveLength(2_000);
});
