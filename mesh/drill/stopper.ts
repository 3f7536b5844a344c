// What ends a run before its time: the first reason counts, and everything that waits is woken.
import type { Ending } from "./evaluate.ts";

export interface Stopper {
  /** Aborted when the run shall end. */
  readonly signal: AbortSignal;
  readonly ending: Ending | undefined;
  stop(ending: Ending): void;
  /** Listens no more to the outer signal. */
  release(): void;
}

/** The outer signal (Ctrl-C) is one of the reasons. */
export function createStopper(outer: AbortSignal): Stopper {
  const inner = new AbortController();
  let ending: Ending | undefined;
  const stop = (reason: Ending): void => {
    ending ??= reason;
    inner.abort(reason);
  };
  const onAbort = (): void => stop({ verdict: "ABORTED", reason: "Stopped by whoever ran it" });
  if (outer.aborted) onAbort();
  outer.addEventListener("abort", onAbort, { once: true });
  return {
    signal: inner.signal,
    get ending() {
      return ending;
    },
    stop,
    release: () => outer.removeEventListener("abort", onAbort),
  };
}
