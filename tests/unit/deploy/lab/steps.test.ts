import { describe, expect, test } from "@jest/globals";
import { createStepper, type LabStep } from "../../../../deploy/lab/steps.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

describe("createStepper()", () => {
  test("tells what a step has come to, and nothing of one that failed", async () => {
    const told: LabStep[] = [];
    const step = createStepper({ clock: systemClock, progress: (line) => told.push(line) });
    await step("namespaces", () => Promise.resolve("made 2"));
    await expect(step("links", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(told).toEqual([{ text: "namespaces: made 2", ms: expect.any(Number) }]);
  });
});
