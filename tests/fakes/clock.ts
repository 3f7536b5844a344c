// A clock that only moves when a test says so. Sleepers wake in the order of their times, and
// whatever they do before they sleep again happens before the next one wakes.
import { abortedError, type Clock } from "../../mesh/core/clock.ts";

export interface FakeClock extends Clock {
  /** How many sleeps are under way. */
  readonly sleepers: number;
  /** Moves time on, waking everything that is due on the way; returns when all is quiet. */
  advance(ms: number): Promise<void>;
  /** Lets everything run that can run without time passing. */
  settle(): Promise<void>;
}

/** The wall clock starts at `startMs`, the monotonic one at 0. */
export function createFakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  const sleepers = new Set<{ readonly wakeAtMs: number; readonly wake: () => void }>();
  let elapsedMs = 0;

  async function settle(): Promise<void> {
    // Promise chains end within a turn of the event loop; a few turns also cover streams.
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  return {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    get sleepers() {
      return sleepers.size;
    },
    settle,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(abortedError(signal));
          return;
        }
        const onAbort = (): void => {
          sleepers.delete(sleeper);
          reject(abortedError(signal));
        };
        const sleeper = {
          wakeAtMs: elapsedMs + Math.max(0, ms),
          wake: () => {
            sleepers.delete(sleeper);
            signal.removeEventListener("abort", onAbort);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal.addEventListener("abort", onAbort, { once: true });
      }),
    async advance(ms) {
      const untilMs = elapsedMs + ms;
      await settle();
      for (;;) {
        const [next] = [...sleepers].sort((a, b) => a.wakeAtMs - b.wakeAtMs);
        if (next === undefined || next.wakeAtMs > untilMs) break;
        elapsedMs = next.wakeAtMs;
        next.wake();
        await settle();
      }
      elapsedMs = untilMs;
      await settle();
    },
  };
}
