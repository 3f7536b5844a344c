// Something that a drill keeps from happening until a deadline by the monotonic clock. It is in
// memory only: with the process that holds it, it is over.
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Clock } from "../../mesh/core/clock.ts";

export interface Hold {
  readonly active: boolean;
  /** Until then, whatever was held before. */
  begin(untilMs: number): void;
  end(): void;
  /** Resolves when nothing is held (any more), or when the signal aborts. */
  over(signal: AbortSignal): Promise<void>;
  /** Aborts when something begins to be held. */
  begun(): AbortSignal;
}

export function createHold(clock: Clock): Hold {
  let untilMs = 0;
  let begun = new AbortController();
  let changed = new AbortController();
  const change = (newUntilMs: number): void => {
    untilMs = newUntilMs;
    changed.abort("the deadline is another one");
    changed = new AbortController();
  };
  const hold: Hold = {
    get active() {
      return clock.monotonicMs() < untilMs;
    },
    begin(newUntilMs) {
      change(newUntilMs);
      begun.abort("a drill holds it");
      begun = new AbortController();
    },
    end: () => change(0),
    async over(signal) {
      while (hold.active && !signal.aborted) {
        try {
          const waitMs = untilMs - clock.monotonicMs();
          await clock.sleep(waitMs, AbortSignal.any([signal, changed.signal]));
        } catch (error) {
          if (!isMeshError(error, "aborted")) throw error;
        }
      }
    },
    begun: () => begun.signal,
  };
  return hold;
}
