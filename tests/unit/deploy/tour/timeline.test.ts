import { describe, expect, test } from "@jest/globals";
import { createTimeline } from "../../../../deploy/tour/timeline.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

function record(colour: "colour" | "plain") {
  let text = "";
  let now = 1000;
  const clock = { ...systemClock, monotonicMs: () => now };
  const output = { write: (part: string) => void (text += part), colour: colour === "colour" };
  const timeline = createTimeline(output, clock);
  return { timeline, pass: (ms: number) => void (now += ms), text: () => text };
}

describe("createTimeline()", () => {
  test("tells when things happened, in seconds since the start", () => {
    const { timeline, pass, text } = record("plain");
    timeline.chapter("One");
    pass(1234);
    timeline.event("it happened");
    pass(10_000);
    timeline.result("all is well", "good");
    expect(text()).toBe("\nOne\n   1.2 s  it happened\n  11.2 s  all is well\n");
    expect(timeline.elapsedSeconds()).toBeCloseTo(11.234);
  });

  test("leaves lines as they are, in colours where somebody looks", () => {
    const show = (kind: "colour" | "plain"): string => {
      const { timeline, text } = record(kind);
      timeline.block((paint) => `a\n${paint("red", "b")}`);
      return text();
    };
    expect(show("plain")).toBe("a\nb\n");
    expect(show("colour")).toBe("a\n\u001b[31mb\u001b[0m\n");
  });

  test("colours results where somebody looks", () => {
    const { timeline, text } = record("colour");
    timeline.result("bad", "bad");
    expect(text()).toContain("\u001b[31mbad\u001b[0m");
  });
});
