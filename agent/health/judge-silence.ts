// How much silence is a failure. Lost packets make silence too, so the present loss decides how
// many unanswered probes are needed: at 0 to 15 % loss the fewest rounds are enough, at 30 % it
// takes three rounds more. Pure.
import type { JudgeLimits } from "./judge-limits.ts";
import type { Refusal } from "./judge-passive.ts";

/** Unanswered in a row. */
export interface Silence {
  readonly rounds: number;
  readonly probes: number;
  /** Share of probes lost while there were answers: 0 to 1. */
  readonly loss: number;
}

/** The share of probes lost, over about the last twenty; silence that became `down` not counted. */
export interface LossEstimate {
  sent: number;
  answered: number;
}

/** A probe's weight in the estimate fades by this with every later one. */
const FADE = 0.95;
/** No path is believed to be better than that, and no estimate to be exact. */
const LOSS_FLOOR = 0.02;
const LOSS_MARGIN = 1.5;
const LOSS_CEILING = 0.95;

export function addToEstimate(estimate: LossEstimate, sent: number, answered: number): void {
  const fade = FADE ** sent;
  estimate.sent = estimate.sent * fade + sent;
  estimate.answered = estimate.answered * fade + answered;
}

/** 0 to 1; more answers than questions (late ones) are no loss. */
export function lossOf(estimates: Iterable<LossEstimate>): number {
  let sent = 0;
  let answered = 0;
  for (const estimate of estimates) {
    sent += estimate.sent;
    answered += estimate.answered;
  }
  return sent === 0 ? 0 : Math.min(Math.max(1 - answered / sent, 0), 1);
}

/** How likely it is at the most that so many probes were lost by chance. */
export function chanceOf({ probes, loss }: Silence): number {
  return Math.min(loss * LOSS_MARGIN + LOSS_FLOOR, LOSS_CEILING) ** probes;
}

/** Whether a cluster that is silent like this is down. */
export function isClusterDown(silence: Silence, limits: JudgeLimits): boolean {
  if (silence.rounds < limits.downRounds) return false;
  return silence.rounds >= limits.downRoundsMax || chanceOf(silence) <= limits.chanceOfLoss;
}

/** The same while connections to it fail as well: fewer rounds, the same doubt about loss. */
export function isClusterDownHurried(
  silence: Silence,
  path: { readonly roundTripMs: number | undefined; readonly refusal: Refusal },
  limits: JudgeLimits,
): boolean {
  if (path.refusal === "none") return false;
  // An answer that takes longer than half a round may come just after the end of it.
  const rounds = (path.roundTripMs ?? Infinity) < limits.intervalMs / 2 ? 1 : 2;
  const wanted = path.refusal === "many" ? rounds : rounds + 1;
  return silence.rounds >= wanted && chanceOf(silence) <= limits.chanceOfLossHurried;
}

/** Whether a node that is silent like this is down, while others answer. */
export function isNodeDown(silence: Silence, limits: JudgeLimits): boolean {
  if (silence.rounds < limits.nodeDownRounds) return false;
  return silence.rounds >= limits.nodeDownRoundsMax || chanceOf(silence) <= limits.chanceOfLoss;
}

/** The same for a node that failed connections have named. */
export function isAccusedNodeDown(silence: Silence, limits: JudgeLimits): boolean {
  return (
    isNodeDown(silence, limits) ||
    (silence.rounds >= limits.suspectRounds && chanceOf(silence) <= limits.chanceOfLoss)
  );
}
