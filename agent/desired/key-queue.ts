// Keys that are to be planned again when there is time: each once, however often it was asked for,
// and a few at a time. What asks for them (the health of a backend that 10,000 services use) must
// not keep the event loop from the next round of probes.
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";

export interface KeyQueue {
  add(keys: Iterable<string>): void;
  /** Hands every key out once, oldest first. Resolves when the signal aborts. */
  run(onKey: (key: string) => void, signal: AbortSignal): Promise<void>;
}

/** Planned before other work gets a turn: a millisecond or two, several times that if the machine
 * is busy, and still nothing beside the interval between probes. */
const KEYS_PER_TURN = 128;

export function createKeyQueue(clock: Clock): KeyQueue {
  const waiting = new Set<string>();
  let wakeUp = (): void => {};

  return {
    add(keys) {
      for (const key of keys) waiting.add(key);
      wakeUp();
    },
    async run(onKey, signal) {
      const onAbort = (): void => wakeUp();
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        while (!signal.aborted) {
          if (waiting.size === 0) {
            await new Promise<void>((resolve) => {
              wakeUp = resolve;
            });
            continue;
          }
          for (const key of waiting.values().take(KEYS_PER_TURN)) {
            waiting.delete(key);
            onKey(key);
          }
          await clock.sleep(0, signal);
        }
      } catch (error) {
        if (!isMeshError(error, "aborted")) throw error;
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
  };
}
