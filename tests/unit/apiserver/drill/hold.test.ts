// A deadline that is kept, brought forward, and over by itself.
import { describe, expect, test } from "@jest/globals";
import { createHold } from "../../../../apiserver/drill/hold.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

describe("createHold()", () => {
  test("is over at its deadline, or when it is ended", async () => {
    const clock = createFakeClock();
    const hold = createHold(clock);
    const begun = hold.begun();
    expect(hold.active).toBe(false);
    hold.begin(1_000);
    expect([hold.active, begun.aborted, hold.begun().aborted]).toEqual([true, true, false]);
    let over = false;
    const waiting = hold.over(new AbortController().signal).then(() => (over = true));
    hold.begin(2_000);
    await clock.advance(1_500);
    expect(over).toBe(false);
    await clock.advance(500);
    await waiting;
    expect(hold.active).toBe(false);
    hold.begin(9_000);
    const ended = hold.over(new AbortController().signal);
    hold.end();
    await ended;
    expect(clock.sleepers).toBe(0);
  });

  test("waits for nobody whose signal is aborted", async () => {
    const hold = createHold(createFakeClock());
    hold.begin(1_000);
    const abort = new AbortController();
    const waiting = hold.over(abort.signal);
    abort.abort();
    await waiting;
    expect(hold.active).toBe(true);
  });
});
