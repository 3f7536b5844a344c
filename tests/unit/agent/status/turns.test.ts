import { describe, expect, test } from "@jest/globals";
import { createTurns } from "../../../../agent/status/turns.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

describe("createTurns()", () => {
  test("lets others go on now and then, and no oftener", async () => {
    const clock = createFakeClock();
    const turns = createTurns(clock, new AbortController().signal);
    for (let i = 1; i < 4_096; i++) expect(turns.after(1)).toBeUndefined();
    const turn = turns.after(1);
    expect(clock.sleepers).toBe(1);
    await clock.advance(0);
    await turn;
    expect(turns.after(1)).toBeUndefined();
    const next = turns.after(10_000);
    await clock.advance(0);
    await next;
  });

  test("ends the work when nobody waits for it", async () => {
    const turns = createTurns(createFakeClock(), AbortSignal.abort());
    await expect(turns.after(4_096)).rejects.toMatchObject({ code: "aborted" });
  });
});
