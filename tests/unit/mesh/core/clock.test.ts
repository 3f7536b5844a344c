import { describe, expect, test } from "@jest/globals";
import { systemClock, throwIfAborted, withTimeout } from "../../../../mesh/core/clock.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const never = new AbortController().signal;
const forever = (): Promise<never> => new Promise<never>(() => {});

for (const [name, clock] of [
  ["systemClock", systemClock],
  ["createFakeClock()", createFakeClock()],
] as const) {
  describe(name, () => {
    test("sleep() rejects under a signal that was aborted before", async () => {
      await expect(clock.sleep(60_000, AbortSignal.abort())).rejects.toMatchObject({
        code: "aborted",
      });
    });

    test("sleep() rejects as soon as the signal aborts, with its reason as the cause", async () => {
      const controller = new AbortController();
      const sleeping = clock.sleep(60_000, controller.signal);
      const reason = new Error("shutdown");
      controller.abort(reason);
      await expect(sleeping).rejects.toMatchObject({ code: "aborted", cause: reason });
    });

    test("monotonicMs() never goes back", () => {
      const before = clock.monotonicMs();
      expect(clock.monotonicMs()).toBeGreaterThanOrEqual(before);
      expect(clock.nowMs()).toBeGreaterThan(Date.UTC(2025, 0, 1));
    });
  });
}

describe("systemClock", () => {
  test("sleep() lasts at least as long as asked", async () => {
    const before = systemClock.monotonicMs();
    await systemClock.sleep(20, never);
    // Timers are rounded to whole milliseconds.
    expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(19);
  });
});

describe("createFakeClock()", () => {
  test("advance() wakes sleepers in the order of their times, chains included", async () => {
    const clock = createFakeClock(0);
    const woken: string[] = [];
    const chain = async (): Promise<void> => {
      await clock.sleep(10, never);
      woken.push(`first at ${clock.nowMs()}`);
      await clock.sleep(10, never);
      woken.push(`third at ${clock.nowMs()}`);
    };
    const other = clock.sleep(15, never).then(() => woken.push(`second at ${clock.nowMs()}`));
    const chained = chain();
    await clock.advance(100);
    await Promise.all([chained, other]);
    expect(woken).toEqual(["first at 10", "second at 15", "third at 20"]);
    expect(clock.monotonicMs()).toBe(100);
  });

  test("advance() leaves later sleepers asleep", async () => {
    const clock = createFakeClock();
    const sleeping = clock.sleep(50, never);
    await clock.advance(49);
    expect(clock.sleepers).toBe(1);
    await clock.advance(1);
    await sleeping;
    expect(clock.sleepers).toBe(0);
  });
});

describe("withTimeout()", () => {
  test("returns what the work returns and leaves no timer behind", async () => {
    const clock = createFakeClock();
    const options = { ms: 1_000, what: "Reading", clock, signal: never };
    expect(await withTimeout(() => Promise.resolve(7), options)).toBe(7);
    await clock.settle();
    expect(clock.sleepers).toBe(0);
  });

  test("rejects with what the work rejects with", async () => {
    const clock = createFakeClock();
    const options = { ms: 1_000, what: "Reading", clock, signal: never };
    const work = (): Promise<never> => Promise.reject(new Error("no"));
    await expect(withTimeout(work, options)).rejects.toThrow("no");
    expect(clock.sleepers).toBe(0);
  });

  test("rejects with deadline_exceeded and aborts the work", async () => {
    const clock = createFakeClock();
    let inner: AbortSignal | undefined;
    const work = (signal: AbortSignal): Promise<never> => {
      inner = signal;
      return forever();
    };
    const waiting = withTimeout(work, { ms: 1_000, what: "Reading", clock, signal: never });
    const checked = expect(waiting).rejects.toMatchObject({
      code: "deadline_exceeded",
      message: "Reading: no answer in 1000 ms",
    });
    await clock.advance(1_000);
    await checked;
    expect(inner?.aborted).toBe(true);
  });

  test("hands the caller's abort to the work", async () => {
    const clock = createFakeClock();
    const controller = new AbortController();
    const waiting = withTimeout((signal) => clock.sleep(5_000, signal), {
      ms: 1_000,
      what: "Reading",
      clock,
      signal: controller.signal,
    });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "aborted" });
    expect(clock.sleepers).toBe(0);
  });
});

describe("throwIfAborted()", () => {
  test("throws for an aborted signal only", () => {
    throwIfAborted(never);
    expect(() => throwIfAborted(AbortSignal.abort())).toThrow(
      expect.objectContaining({ code: "aborted" }),
    );
  });
});
