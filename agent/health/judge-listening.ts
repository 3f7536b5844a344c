// Who answers and who is silent: turns the totals of each round into streaks, a voice a probed node
// and family, a group a cluster and family. What follows from a silence is decided by others.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { JudgeLimits } from "./judge-limits.ts";
import { addToEstimate, lossOf, type LossEstimate } from "./judge-silence.ts";
import type { Family, Glance, Observation, ProbedTarget } from "./observation.ts";

/** One probed node in one family. */
export interface Voice {
  readonly node: string;
  readonly group: Group;
  /** It has answered at least once. */
  heard: boolean;
  /** Set by whoever judges nodes. */
  isDown: boolean;
  answeredRounds: number;
  silentRounds: number;
  silentProbes: number;
  readonly estimate: LossEstimate;
  lastAnswerMs: number | undefined;
  roundTripMs: number | undefined;
  answeredNow: boolean;
  /** Probes that an answer is missing to, as of this round. */
  missedNow: number;
  /** Was asked in the round before: what is on its way comes round by round. */
  wasAsked: boolean;
  /** Probes of a beginning whose answers may still be on their way. */
  owed: number;
  /** The totals of the last round. */
  sent: number;
  answered: number;
  /** Since the estimate was last added to. */
  sentSince: number;
  /** Until then silence means nothing: the window began anew and no answer can be here yet. */
  graceUntilMs: number;
}

/** The probed nodes of one cluster in one family. */
export interface Group {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  /** Our own cluster: a witness, never down. */
  readonly isOwn: boolean;
  readonly voices: Map<string, Voice>;
  heard: boolean;
  /** Set by whoever judges clusters. */
  isDown: boolean;
  answeredRounds: number;
  silentRounds: number;
  silentProbes: number;
  /** Rounds since the last answer of this window, whether or not an answer was due in them. */
  roundsSinceAnswer: number;
  lastAnswerMs: number | undefined;
  /** The shortest of this round's round trips; undefined: no answer. */
  roundTripMs: number | undefined;
}

/** What a look between two rounds sees of a group since the last one. */
export interface Glimpse {
  readonly isAnswered: boolean;
  /** Probes of the last round whose answers are overdue; 0 if anybody answered. */
  readonly missed: number;
}

export interface Listening {
  readonly groups: ReadonlyMap<string, Group>;
  listen(observation: Observation): void;
  /** Changes nothing: the next round counts what there is. */
  glance(glance: Glance): ReadonlyMap<Group, Glimpse>;
  /** Nothing that was not answered until now counts. */
  beginAnew(atMs: number): void;
}

/** Between rounds there is less time than a round for answers that are late now and then. */
const OVERDUE_ROUND_TRIPS = 4;

export function keyOfGroup(clusterId: ClusterId, family: Family): string {
  return `${clusterId}/${family}`;
}

export function lossOfGroup(group: Group): number {
  return lossOf(aliveEstimates(group));
}

/** Its probes still reach us, ours get no answer: what leads there is broken, not what leads here. */
export function isInboundHeard(
  { lastAnswerMs = Infinity }: Group,
  { atMs, heardRequestMs = -Infinity }: { atMs: number; heardRequestMs?: number | undefined },
  { intervalMs, suspectRounds }: JudgeLimits,
): boolean {
  // Before a cut of both ways a probe may have come later than the last answer.
  return heardRequestMs > lastAnswerMs && atMs - heardRequestMs < suspectRounds * intervalMs;
}

function* aliveEstimates(group: Group): Iterable<LossEstimate> {
  for (const voice of group.voices.values()) if (!voice.isDown) yield voice.estimate;
}

export function createListening(options: {
  readonly ownClusterId: ClusterId;
  readonly limits: JudgeLimits;
}): Listening {
  const { ownClusterId, limits } = options;
  const groups = new Map<string, Group>();
  return {
    groups,
    listen(observation) {
      const seen = new Set<Voice>();
      for (const group of groups.values()) group.roundTripMs = undefined;
      for (const target of observation.targets) {
        seen.add(hear(groupOf(target), target, observation));
      }
      forgetAllBut(seen);
      for (const group of groups.values()) sumUp(group);
      if (observation.blind) beginAnew(observation.atMs);
    },
    glance,
    beginAnew,
  };

  function glance({ targets, atMs, askedMs }: Glance): ReadonlyMap<Group, Glimpse> {
    const glimpses = new Map<Group, Glimpse>();
    for (const target of targets) {
      const group = groups.get(keyOfGroup(target.clusterId, target.family));
      const voice = group?.voices.get(target.node);
      if (group === undefined || voice === undefined) continue;
      const { isAnswered, missed } = glimpses.get(group) ?? { isAnswered: false, missed: 0 };
      const answers = isAnswered || target.answered > voice.answered;
      const more = isOverdue(voice, { atMs, askedMs }) ? Math.max(target.sent - voice.sent, 0) : 0;
      glimpses.set(group, { isAnswered: answers, missed: answers ? 0 : missed + more });
    }
    return glimpses;
  }

  function groupOf({ clusterId, cluster, family }: ProbedTarget): Group {
    const key = keyOfGroup(clusterId, family);
    const known = groups.get(key);
    // A cluster that comes back under the id of another is another.
    if (known?.cluster === cluster) return known;
    const group: Group = {
      clusterId,
      cluster,
      family,
      isOwn: clusterId === ownClusterId,
      voices: new Map(),
      heard: false,
      isDown: false,
      answeredRounds: 0,
      silentRounds: 0,
      silentProbes: 0,
      roundsSinceAnswer: Infinity,
      lastAnswerMs: undefined,
      roundTripMs: undefined,
    };
    groups.set(key, group);
    return group;
  }

  function hear(group: Group, target: ProbedTarget, observation: Observation): Voice {
    const { atMs } = observation;
    const voice = group.voices.get(target.node) ?? newVoice(group, target, atMs);
    const restarted = target.sent < voice.sent || target.answered < voice.answered;
    const sent = restarted ? 0 : target.sent - voice.sent;
    const answered = restarted ? 0 : target.answered - voice.answered;
    voice.sent = target.sent;
    voice.answered = target.answered;
    voice.sentSince += sent;
    voice.answeredNow = answered > 0;
    voice.missedNow = missedOf(voice, sent, atMs);
    if (voice.answeredNow) noteAnswer(voice, target, answered);
    if (voice.missedNow > 0) {
      voice.answeredRounds = 0;
      voice.silentRounds += 1;
      voice.silentProbes += voice.missedNow;
    }
    return voice;
  }

  /** Who is asked after a pause has the time of a round trip before its silence counts. */
  function missedOf(voice: Voice, sent: number, atMs: number): number {
    const { roundTripMs = 0 } = voice;
    if (sent > 0 && !voice.wasAsked && voice.owed === 0) {
      const untilMs = atMs + 1.25 * roundTripMs - limits.intervalMs;
      voice.graceUntilMs = Math.max(voice.graceUntilMs, untilMs);
    }
    voice.wasAsked = sent > 0;
    const owed = voice.answeredNow ? 0 : voice.owed + sent;
    voice.owed = atMs <= voice.graceUntilMs ? owed : 0;
    return owed - voice.owed;
  }

  function newVoice(group: Group, target: ProbedTarget, atMs: number): Voice {
    const isFresh = atMs - (target.lastAnswerMs ?? -Infinity) <= 2 * limits.intervalMs;
    const voice: Voice = {
      node: target.node,
      group,
      heard: target.lastAnswerMs !== undefined,
      isDown: false,
      answeredRounds: 0,
      silentRounds: 0,
      silentProbes: 0,
      estimate: { sent: 0, answered: 0 },
      lastAnswerMs: target.lastAnswerMs,
      roundTripMs: target.roundTripMs,
      answeredNow: false,
      missedNow: 0,
      wasAsked: false,
      owed: 0,
      sent: target.sent,
      // What came before we looked is no news, but a first answer that has just come is.
      answered: isFresh ? target.answered - 1 : target.answered,
      sentSince: 0,
      graceUntilMs: atMs + 1.25 * longestRoundTripMs(group),
    };
    group.voices.set(target.node, voice);
    return voice;
  }

  function noteAnswer(voice: Voice, target: ProbedTarget, answered: number): void {
    // What was lost while it was away says nothing about the path that it has now.
    if (voice.silentRounds < limits.downRounds) {
      addToEstimate(voice.estimate, voice.sentSince, answered);
    }
    voice.sentSince = 0;
    voice.heard = true;
    voice.answeredRounds += 1;
    voice.silentRounds = 0;
    voice.silentProbes = 0;
    voice.lastAnswerMs = target.lastAnswerMs;
    const { group } = voice;
    const roundTripMs = target.roundTripMs ?? NaN;
    if (!(roundTripMs >= 0 && roundTripMs < Infinity)) return;
    voice.roundTripMs = roundTripMs;
    group.roundTripMs = Math.min(group.roundTripMs ?? Infinity, roundTripMs);
  }

  function forgetAllBut(seen: ReadonlySet<Voice>): void {
    for (const [key, group] of groups) {
      for (const [node, voice] of group.voices) if (!seen.has(voice)) group.voices.delete(node);
      if (group.voices.size === 0) groups.delete(key);
    }
  }

  function beginAnew(atMs: number): void {
    for (const group of groups.values()) {
      group.answeredRounds = 0;
      group.silentRounds = 0;
      group.silentProbes = 0;
      group.roundsSinceAnswer = Infinity;
      for (const voice of group.voices.values()) {
        voice.answeredRounds = 0;
        voice.silentRounds = 0;
        voice.silentProbes = 0;
        voice.sentSince = 0;
        voice.owed = 0;
        voice.graceUntilMs = atMs + limits.intervalMs / 2 + 1.25 * (voice.roundTripMs ?? 0);
      }
    }
  }
}

/** A round of a group: answered if anybody answered, silent if somebody who can should have. */
function sumUp(group: Group): void {
  let missed = 0;
  let anyAnswer = false;
  for (const voice of group.voices.values()) {
    anyAnswer ||= voice.answeredNow;
    group.heard ||= voice.heard;
    if (voice.heard && !voice.isDown) missed += voice.missedNow;
    group.lastAnswerMs = latest(group.lastAnswerMs, voice.lastAnswerMs);
  }
  group.roundsSinceAnswer = anyAnswer ? 0 : group.roundsSinceAnswer + 1;
  if (anyAnswer) {
    group.answeredRounds += 1;
    group.silentRounds = 0;
    group.silentProbes = 0;
  } else if (missed > 0) {
    group.answeredRounds = 0;
    group.silentRounds += 1;
    group.silentProbes += missed;
  }
}

/** Whether a probe of the last round would have been answered by now, and long ago. */
function isOverdue(
  { heard, isDown, roundTripMs = Infinity, graceUntilMs }: Voice,
  { atMs, askedMs }: Pick<Glance, "atMs" | "askedMs">,
): boolean {
  if (!heard || isDown || atMs <= graceUntilMs) return false;
  return OVERDUE_ROUND_TRIPS * roundTripMs <= atMs - askedMs;
}

/** What a node may take that was never heard. */
function longestRoundTripMs({ voices }: Group): number {
  return Math.max(0, ...[...voices.values()].map(({ roundTripMs }) => roundTripMs ?? 0));
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}
