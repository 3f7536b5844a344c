// Time as a parameter. This file is one of the two places that may touch timers (the other is
// backoff's random source); everything else receives a Clock.
import { MeshError } from "./errors.ts";

export interface Clock {
  /** Wall-clock time in milliseconds since the epoch; for showing, never for measuring. */
  readonly nowMs: () => number;
  /** Monotonic time in milliseconds; for time-outs and durations. */
  readonly monotonicMs: () => number;
  /** Resolves after `ms`; rejects with `aborted` as soon as the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortedError(signal));
        return;
      }
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(abortedError(signal));
      };
      signal.addEventListener("abort", onAbort, { once: true });
    }),
};

/** The error that every waiting function rejects with when its signal is aborted. */
export function abortedError(signal: AbortSignal): MeshError {
  return new MeshError("aborted", "The operation was aborted", { cause: signal.reason });
}

/** Throws `aborted` if the signal is. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal);
}

/**
 * Runs `work` under a signal that aborts with `signal` or after `ms`; a time-out rejects with
 * `deadline_exceeded` and `what`. The timer ends with the work.
 */
export async function withTimeout<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: { ms: number; what: string; clock: Clock; signal: AbortSignal },
): Promise<T> {
  const timer = new AbortController();
  const inner = new AbortController();
  const onAbort = (): void => inner.abort(options.signal.reason);
  if (options.signal.aborted) onAbort();
  options.signal.addEventListener("abort", onAbort, { once: true });
  const expiry = options.clock.sleep(options.ms, timer.signal).then(
    () => {
      const error = new MeshError(
        "deadline_exceeded",
        `${options.what}: no answer in ${options.ms} ms`,
      );
      inner.abort(error);
      throw error;
    },
    () => new Promise<never>(() => {}), // The work ended first; this side never settles.
  );
  try {
    return await Promise.race([work(inner.signal), expiry]);
  } finally {
    timer.abort("the work has ended"); // Without a reason, every call would make an exception.
    options.signal.removeEventListener("abort", onAbort);
  }
}
