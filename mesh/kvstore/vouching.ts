// Writing what vouches for other keys: the heartbeat, and the canaries. Both keep one promise to
// every reader: while they are fresh, everything that this writer exports is there. So neither is
// written while keys that a lost lease took away are still missing.
import { throwIfAborted, type Clock } from "../core/clock.ts";
import { isMeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { encodeTimestamp } from "./records/timestamp.ts";
import type { WritableStore } from "./store.ts";

export interface VouchingOptions {
  readonly store: WritableStore;
  readonly clock: Clock;
  readonly log: Logger;
}

const POLL_MS = 100;
const RETRY_MS = 1_000;
/** Lost keys that nobody has written again for so long belong to nobody any more. */
const LOST_KEYS_PATIENCE_MS = 5 * 60_000;

/** Writes the keys once `ready`, and again whenever they were lost. Resolves on abort. */
export async function runVouching(
  options: VouchingOptions & {
    readonly keys: readonly string[];
    /** Whether everything that the keys vouch for has been written once. */
    readonly ready: () => boolean;
    /** Written again this often, to show that the writer lives; otherwise only when lost. */
    readonly intervalMs?: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, log, keys } = options;
  const lost = watchLost(store, keys, signal);
  try {
    while (!signal.aborted) {
      await readyToVouch(options, signal);
      lost.clear();
      const value = encodeTimestamp(clock.nowMs());
      try {
        await store.commit(
          keys.map((key) => ({ kind: "put", key, value })),
          signal,
        );
      } catch (error) {
        throwIfAborted(signal);
        log.warn("Keys that vouch for others could not be written", { first: keys[0], error });
        await clock.sleep(RETRY_MS, signal);
        continue;
      }
      await lost.next(clock, options.intervalMs);
    }
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  } finally {
    await lost.ended;
  }
}

async function readyToVouch(
  options: VouchingOptions & { readonly ready: () => boolean },
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, log, ready } = options;
  let lostSinceMs: number | undefined;
  for (;;) {
    const lost = store.lostCount();
    if (lost === 0) lostSinceMs = undefined;
    else lostSinceMs ??= clock.monotonicMs();
    const waited = lostSinceMs === undefined ? 0 : clock.monotonicMs() - lostSinceMs;
    if (waited > LOST_KEYS_PATIENCE_MS)
      log.error("Keys that were lost are not written again by anybody", { keys: lost });
    if (ready() && (lost === 0 || waited > LOST_KEYS_PATIENCE_MS)) return;
    await clock.sleep(POLL_MS, signal);
  }
}

/** Follows the store's lost keys, looking for ours. */
function watchLost(
  store: WritableStore,
  keys: readonly string[],
  signal: AbortSignal,
): {
  clear(): void;
  /** Until one of ours is lost, or the time is over, or the signal aborts. */
  next(clock: Clock, ms: number | undefined): Promise<void>;
  readonly ended: Promise<void>;
} {
  const ours = new Set(keys);
  let seen = false;
  let wake: (() => void) | undefined;
  const ended = (async () => {
    for await (const batch of store.lostKeys(signal)) {
      if (!batch.some((key) => ours.has(key))) continue;
      seen = true;
      wake?.();
    }
  })();
  return {
    ended,
    clear() {
      seen = false;
    },
    async next(clock, ms) {
      if (seen) return;
      const pause = new AbortController();
      wake = () => pause.abort();
      const either = AbortSignal.any([signal, pause.signal]);
      const end = new Promise<void>((resolve) => {
        either.addEventListener("abort", () => resolve(), { once: true });
      });
      // A sleep that is cut short has done its work.
      await (ms === undefined ? end : clock.sleep(ms, either).catch(() => {}));
      wake = undefined;
      throwIfAborted(signal);
    },
  };
}
