// Waiting for a level: "until the canary is there". Whoever changes something notifies; whoever
// waits looks again. Nothing is queued, so nothing can overflow.
import { abortedError } from "../core/clock.ts";

export class Condition {
  readonly #waiting = new Set<() => void>();

  /** Something may have changed: every waiter looks again. */
  notify(): void {
    for (const look of this.#waiting) look();
  }

  /** Resolves as soon as `holds` does, which is asked at every notification; rejects with `aborted` when the signal is. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!holds()) {
      if (signal.aborted) throw abortedError(signal);
      await new Promise<void>((resolve) => {
        // Most looks see what is not to be waited for: they must cost next to nothing.
        const look = (): void => {
          if (!signal.aborted && !holds()) return;
          this.#waiting.delete(look);
          signal.removeEventListener("abort", look);
          resolve();
        };
        this.#waiting.add(look);
        signal.addEventListener("abort", look, { once: true });
      });
    }
  }
}
