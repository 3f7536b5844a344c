// A cluster's round trip now against its own long-term one. Slow is far above what is usual there,
// whatever that is; it ends at half of what began it, so that a value near the limit does not
// flap. Pure.
import type { JudgeLimits } from "./judge-limits.ts";

export interface RoundTrip {
  /** Of one round, the shortest; undefined: no answer, which says nothing of how long one takes. */
  add(ms: number | undefined): void;
  isSlow(): boolean;
  nowMs(): number | undefined;
  usualMs(): number | undefined;
}

/** Weight of a new value in what is "now": three rounds. */
const NOW = 0.3;
/** And in what is usual: a minute. While slow a sixth of that: a longer way is learned too. */
const USUAL = 1 / 600;
const USUAL_WHILE_SLOW = 1 / 3_600;
/** Nothing is unusual before so many rounds. */
const ROUNDS_KNOWN = 20;

export function createRoundTrip(limits: JudgeLimits): RoundTrip {
  let rounds = 0;
  let now: number | undefined;
  let usual: number | undefined;
  let slow = false;
  return {
    add(ms) {
      if (ms === undefined) return;
      rounds += 1;
      now = now === undefined ? ms : now + (ms - now) * NOW;
      const weight = Math.max(slow ? USUAL_WHILE_SLOW : USUAL, 1 / rounds);
      usual = usual === undefined ? ms : usual + (ms - usual) * weight;
      if (rounds < ROUNDS_KNOWN) return;
      const above = slow ? 0.5 : 1;
      slow =
        now > usual * (1 + (limits.slowFactor - 1) * above) && now > usual + limits.slowMs * above;
    },
    isSlow: () => slow,
    nowMs: () => now,
    usualMs: () => usual,
  };
}
