// Being woken when a directory changes. A notification only says "look again": the owner scans,
// and scans from time to time without one, because notifications get lost.
import { watch } from "node:fs";
import type { Clock } from "../mesh/core/clock.ts";

/** How soon a directory that was missing or replaced is watched again. */
const RETRY_MS = 5_000;

/** A level: rung any number of times, it wakes its one waiter once. */
export interface Bell {
  ring(): void;
  wait(ms: number, options: { clock: Clock; signal: AbortSignal }): Promise<void>;
}

export function createBell(): Bell {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async wait(ms, { clock, signal }) {
      if (!rung) {
        const done = new AbortController();
        const rang = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const timer = clock.sleep(ms, AbortSignal.any([signal, done.signal])).catch(() => {
          // The bell rang first, or everything ends: the loop's own check decides.
        });
        await Promise.race([rang, timer]);
        done.abort();
        wake = undefined;
      }
      rung = false;
    },
  };
}

/** Rings for every change; a watch that breaks is set up again. Resolves when the signal aborts. */
export async function watchDirectory(
  options: { directory: string; bell: Bell; clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const { directory, bell, clock } = options;
  while (!signal.aborted) {
    await watchOnce(directory, bell, signal);
    if (!signal.aborted) await clock.sleep(RETRY_MS, signal).catch(() => {}); // Ends the loop.
  }
}

function watchOnce(directory: string, bell: Bell, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    try {
      const watcher = watch(directory, { signal });
      watcher.on("change", () => bell.ring());
      watcher.on("error", () => watcher.close());
      watcher.on("close", resolve);
    } catch {
      resolve(); // The directory is not there yet: its owner's scan reports it, the retry finds it.
    }
  });
}
