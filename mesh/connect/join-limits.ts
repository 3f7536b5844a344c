// What keeps the open join API cheap for its cluster: wrong secrets are counted by address, and
// only so many calls wait their turn. Pure state; time is a parameter.
import { MeshError } from "../core/errors.ts";

/** A person who pastes a wrong token tries a few times; more in a minute is not a person. */
export const FAILURES_PER_MINUTE = 10;
const WINDOW_MS = 60_000;
/** One entry is 100 bytes. When all are taken the oldest goes: an attacker with that many
 * addresses gains guesses at 128 random bits, which is nothing. */
const MAX_ADDRESSES = 1_024;
/** Calls take turns; each takes up to seconds, and callers give up after twenty. */
const MAX_WAITING = 8;

export interface FailureLimiter {
  /** Throws `resource_exhausted` for an address that has failed too often. */
  check(address: string): void;
  countFailure(address: string): void;
}

export function createFailureLimiter(options: { nowMs: () => number }): FailureLimiter {
  const failures = new Map<string, { count: number; sinceMs: number }>();
  const current = (address: string): { count: number; sinceMs: number } | undefined => {
    const entry = failures.get(address);
    return entry !== undefined && options.nowMs() - entry.sinceMs < WINDOW_MS ? entry : undefined;
  };
  return {
    check: (address) => {
      if ((current(address)?.count ?? 0) < FAILURES_PER_MINUTE) return;
      throw new MeshError(
        "resource_exhausted",
        "Cannot join: too many wrong tokens from this address",
        { hint: "wait a minute, then try again with a new token" },
      );
    },
    countFailure: (address) => {
      const entry = current(address) ?? { count: 0, sinceMs: options.nowMs() };
      failures.delete(address);
      failures.set(address, { ...entry, count: entry.count + 1 });
      const [oldest] = failures.keys();
      if (failures.size > MAX_ADDRESSES && oldest !== undefined) failures.delete(oldest);
    },
  };
}

export type Turns = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs one piece of work at a time, in order; refuses more when too many wait. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return async (work) => {
    if (waiting >= MAX_WAITING) {
      throw new MeshError("resource_exhausted", "Cannot join: too many others are joining", {
        hint: "try again in a minute",
      });
    }
    waiting += 1;
    const turn = last.then(work);
    // The caller has the error; whoever is next only waits for the end.
    last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      waiting -= 1;
    }
  };
}
