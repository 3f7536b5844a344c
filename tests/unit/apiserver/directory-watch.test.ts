import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { createBell, watchDirectory } from "../../../apiserver/directory-watch.ts";
import { systemClock } from "../../../mesh/core/clock.ts";
import { createFakeClock } from "../../fakes/clock.ts";

describe("createBell()", () => {
  test("wait() ends at once for a ring that came before, once", async () => {
    const clock = createFakeClock();
    const signal = new AbortController().signal;
    const bell = createBell();
    bell.ring();
    bell.ring();
    await bell.wait(1_000, { clock, signal });
    let ended = false;
    const waiting = bell.wait(1_000, { clock, signal }).then(() => (ended = true));
    await clock.settle();
    expect(ended).toBe(false);
    bell.ring();
    await waiting;
    expect(clock.sleepers).toBe(0);
  });

  test("wait() ends with the time and with the signal", async () => {
    const clock = createFakeClock();
    const abort = new AbortController();
    const bell = createBell();
    const timed = bell.wait(1_000, { clock, signal: abort.signal });
    await clock.advance(1_000);
    await timed;
    const aborted = bell.wait(1_000, { clock, signal: abort.signal });
    abort.abort();
    await aborted;
  });
});

describe("watchDirectory()", () => {
  test("rings for changes and ends with its signal", async () => {
    const directory = await mkdtemp(join(tmpdir(), "tombolo-as-watch-"));
    const abort = new AbortController();
    const bell = createBell();
    const watching = watchDirectory({ directory, bell, clock: systemClock }, abort.signal);
    const rung = bell.wait(60_000, { clock: systemClock, signal: abort.signal });
    await writeFile(join(directory, "a"), "");
    await rung;
    abort.abort();
    await watching;
    await rm(directory, { recursive: true });
  });
});
