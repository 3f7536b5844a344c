// The health of one remote cluster in one address family. Pure.
//
//            an answer            silent or slow             silent
//   unknown ───────────► healthy ───────────────► suspect ───────────► down
//                          ▲  ▲                      │                  │ ▲
//                          │  └──────────────────────┘  answers, and    │ │ silent
//                          │     answers, in time       hold-down over  ▼ │
//                          └──────────────────────────────────────── recovering
//                                answers through every step             90 %, 50 % held back
//
// A silence with refused connections goes from healthy to down without a stop.
import { createHoldDown } from "./judge-hold-down.ts";
import type { JudgeLimits } from "./judge-limits.ts";
import { isInboundHeard, lossOfGroup, type Group } from "./judge-listening.ts";
import type { Refusal } from "./judge-passive.ts";
import { createRoundTrip } from "./judge-round-trip.ts";
import { isClusterDown, isClusterDownHurried, type Silence } from "./judge-silence.ts";
import type { ClusterView, HealthReason, HealthState, Transition } from "./observation.ts";

/** What a round says of a cluster besides what was heard of it. */
export interface ClusterRound {
  readonly atMs: number;
  /** Somebody else answers: its silence is its own. */
  readonly hasWitness: boolean;
  readonly hasWitnessNow: boolean;
  /** Connects within two rounds. */
  readonly failedConnects: number;
  readonly refusal: Refusal;
  readonly heardRequestMs: number | undefined;
  /** Probes of the last round that a look after it misses; 0 in a round. */
  readonly overdueProbes: number;
}

export interface ClusterHealth {
  judge(round: ClusterRound): Transition[];
  /** Between two rounds: refused connects may have it down already, and nothing else changes. */
  glance(round: ClusterRound): Transition[];
  view(): ClusterView;
}

export function createClusterHealth(
  group: Group,
  limits: JudgeLimits,
  begin: { readonly downSinceMs?: number } = {},
): ClusterHealth {
  const held = { maxMs: limits.holdDownMaxMs, quietMs: limits.quietMs };
  const downs = createHoldDown({ firstMs: limits.holdDownMs, ...held });
  const suspicions = createHoldDown({ firstMs: limits.clearMs, ...held });
  const roundTrip = createRoundTrip(limits);
  let state: HealthState = "unknown";
  let reason: HealthReason | undefined;
  /** When the state may be left at the earliest: hold-down, or end of a step. */
  let untilMs = 0;
  let step = 0;
  if (begin.downSinceMs !== undefined) {
    [state, reason] = ["down", "silent"];
    untilMs = begin.downSinceMs + downs.fail(begin.downSinceMs);
    group.heard = true;
    group.isDown = true;
  }

  return {
    judge(round) {
      if (state !== "down") roundTrip.add(group.roundTripMs);
      const next = nextState(round);
      return next === undefined ? [] : [enter(next, round)];
    },
    glance(round) {
      const isUsed = state !== "unknown" && state !== "down";
      return isUsed && isDownHurried(round) ? [enter("down", round)] : [];
    },
    view: () => ({
      clusterId: group.clusterId,
      cluster: group.cluster,
      family: group.family,
      state,
      reason,
      heldBackPercent: heldBackPercent(),
      lossPercent: Math.round(100 * lossOfGroup(group)),
      roundTripMs: roundTrip.nowMs(),
      usualRoundTripMs: roundTrip.usualMs(),
    }),
  };

  function heldBackPercent(): number {
    return state === "recovering" ? (limits.heldBackPercents[step] ?? 0) : 0;
  }

  function nextState(round: ClusterRound): HealthState | undefined {
    const isBack = group.answeredRounds >= limits.recoverRounds && round.atMs >= untilMs;
    switch (state) {
      case "unknown":
        if (group.answeredRounds > 0) return "healthy";
        // Heard by the kernel before this process began, and silent since.
        return group.heard && isDown(round) ? "down" : undefined;
      case "healthy":
        if (isDown(round)) return "down";
        if (group.silentRounds >= limits.suspectRounds || roundTrip.isSlow()) return "suspect";
        return undefined;
      case "suspect":
        if (isDown(round)) return "down";
        if (group.silentRounds >= limits.suspectRounds) reason = "silent";
        else if (roundTrip.isSlow()) reason = "slow";
        return isBack && !roundTrip.isSlow() ? "healthy" : undefined;
      case "down":
        return isBack ? "recovering" : undefined;
      case "recovering":
        if (isDown(round)) return "down";
        if (group.silentRounds >= limits.suspectRounds) untilMs = round.atMs + limits.stepMs;
        if (!isBack) return undefined;
        return step + 1 < limits.heldBackPercents.length ? "recovering" : "healthy";
    }
  }

  function isDown(round: ClusterRound): boolean {
    if (group.silentRounds === 0) return false;
    if (round.hasWitness && isClusterDown(silenceOf(round), limits)) return true;
    return isDownHurried(round);
  }

  function isDownHurried(round: ClusterRound): boolean {
    const silence = silenceOf(round);
    if (silence.rounds === 0 || !round.hasWitnessNow) return false;
    const path = { roundTripMs: roundTrip.usualMs(), refusal: round.refusal };
    return isClusterDownHurried(silence, path, limits);
  }

  function silenceOf({ overdueProbes }: ClusterRound): Silence {
    return {
      rounds: group.silentRounds + (overdueProbes > 0 ? 1 : 0),
      probes: group.silentProbes + overdueProbes,
      loss: lossOfGroup(group),
    };
  }

  function enter(to: HealthState, round: ClusterRound): Transition {
    const from = state;
    const { atMs } = round;
    const why = whyNow(to, round);
    const evidence = { reason: why, ...figures(round) };
    state = to;
    group.isDown = to === "down";
    reason = reasonOf(to, round);
    if (to === "healthy") {
      downs.recover(atMs);
      suspicions.recover(atMs);
    }
    if (to === "suspect") untilMs = atMs + suspicions.fail(atMs);
    if (to === "down") untilMs = atMs + downs.fail(atMs);
    if (to === "recovering") {
      step = from === "recovering" ? step + 1 : 0;
      untilMs = atMs + limits.stepMs;
    }
    const held = { heldBackPercent: heldBackPercent(), holdMs: Math.max(untilMs - atMs, 0) };
    const { clusterId, cluster, family } = group;
    return {
      subject: { kind: "cluster", clusterId, cluster, family },
      from,
      to,
      atMs,
      evidence: { ...evidence, ...(to === "healthy" ? {} : held) },
    };
  }

  function reasonOf(to: HealthState, round: ClusterRound): HealthReason | undefined {
    if (to === "suspect" && group.silentRounds < limits.suspectRounds) return "slow";
    if (to === "suspect") return "silent";
    if (to === "down") return round.refusal === "none" ? "silent" : "refused";
    return to === "recovering" ? reason : undefined;
  }

  function whyNow(to: HealthState, round: ClusterRound): string {
    if (to === "healthy" || to === "recovering") return "answers";
    const known = reasonOf(to, round) ?? "silent";
    return known === "silent" && isInboundHeard(group, round, limits)
      ? "outbound path broken"
      : known;
  }

  function figures(round: ClusterRound): Record<string, string | number> {
    const voices = [...group.voices.values()];
    const silence = silenceOf(round);
    const named: Record<string, number | undefined> = {
      nodesProbed: voices.length,
      nodesAnswering: voices.filter(({ silentRounds, heard }) => heard && silentRounds === 0)
        .length,
      silentRounds: silence.rounds,
      silentProbes: silence.probes,
      answeredRounds: group.answeredRounds,
      lastAnswerMsAgo: ago(group.lastAnswerMs, round.atMs),
      requestHeardMsAgo: ago(round.heardRequestMs, round.atMs),
      lossPercent: Math.round(100 * lossOfGroup(group)),
      failedConnects: round.failedConnects,
      roundTripMs: rounded(roundTrip.nowMs()),
      usualRoundTripMs: rounded(roundTrip.usualMs()),
    };
    const known = Object.entries(named).filter(
      (entry): entry is [string, number] => entry[1] !== undefined,
    );
    return Object.fromEntries(known);
  }
}

function ago(thenMs: number | undefined, atMs: number): number | undefined {
  return thenMs === undefined ? undefined : Math.round(atMs - thenMs);
}

/** Microseconds are enough for anybody. */
function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1_000) / 1_000;
}
