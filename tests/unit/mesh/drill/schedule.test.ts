import { describe, expect, test } from "@jest/globals";
import { WEEKDAYS } from "../../../../mesh/drill/calendar.ts";
import { definitionFromFlags } from "../../../../mesh/drill/definition-file.ts";
import { runSchedule } from "../../../../mesh/drill/schedule.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const HOUR = 3_600_000;

describe("runSchedule()", () => {
  test("runs each at its times, goes on after a failure, and ends with its signal", async () => {
    const clock = createFakeClock();
    const end = new AbortController();
    const runs: string[] = [];
    const notes: string[] = [];
    const daily = (name: string, atMinute: number) => ({
      ...definitionFromFlags({ name, fault: "cluster-refuse", cluster: "west" }),
      schedule: { days: WEEKDAYS, atMinute, jitterMs: 0, windows: [] },
    });
    const work = runSchedule(
      [daily("late", 600), daily("early", 60)],
      {
        clock,
        run: ({ name }) => {
          runs.push(name);
          return name === "early" ? Promise.reject(new Error("no NATS")) : Promise.resolve();
        },
        note: (text) => void notes.push(text),
      },
      end.signal,
    );
    await clock.advance(26 * HOUR);
    expect(runs).toEqual(["early", "late", "early"]);
    expect(notes).toContain("Cannot run early: no NATS");
    end.abort();
    await work;
  });

  test("ends when nothing has a time", async () => {
    const one = definitionFromFlags({ fault: "cluster-refuse", cluster: "west" });
    const parts = { clock: createFakeClock(), run: () => Promise.resolve(), note: () => {} };
    await runSchedule([one], parts, new AbortController().signal);
  });
});
