// "My own uplink is down": everybody falls silent at once. That is for the one who hears nothing
// to find out, and it is why a cluster is called down only while somebody else still answers.
//
//   connected ── all that was heard is silent, two clusters at least ──► isolated
//   isolated  ── the first answer ──► connected
//
// Our own cluster's nodes are witnesses like any other cluster. Without a second cluster to hear
// there is no witness, and then it is the only one we hear that is down.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { JudgeLimits } from "./judge-limits.ts";
import { isInboundHeard, lossOfGroup, type Group } from "./judge-listening.ts";
import type { Observation, Transition } from "./observation.ts";

export interface Isolation {
  readonly isIsolated: boolean;
  /** One round; says what changed, if anything did. */
  judge(groups: Iterable<Group>, observation: Observation): IsolationRound;
}

export interface IsolationRound {
  readonly transition: Transition | undefined;
  /**
   * Everybody was silent, if only for a moment, and somebody answers again: what the others owe us
   * from that time was lost on our side. Those who are far would seem to be silent for longer.
   */
  readonly isOver: boolean;
}

export function createIsolation(limits: JudgeLimits): Isolation {
  let sinceMs: number | undefined;
  let wasShaken = false;
  return {
    get isIsolated() {
      return sinceMs !== undefined;
    },
    judge(groups, observation) {
      const heard = [...groups].filter((group) => group.heard);
      const isShaken = isNobodyHeard(heard, limits.witnessRounds);
      const isOver = wasShaken && !isShaken;
      wasShaken = isShaken;
      const transition =
        sinceMs === undefined ? begin(heard, observation) : end(heard, observation);
      return { transition, isOver: isOver || transition?.to === "connected" };
    },
  };

  function begin(heard: readonly Group[], observation: Observation): Transition | undefined {
    if (!isEverybodySilent(heard, limits.isolationRounds)) return undefined;
    const { atMs } = observation;
    sinceMs = atMs;
    const evidence = evidenceOf(heard, observation, limits);
    return { subject: { kind: "isolation" }, from: "connected", to: "isolated", atMs, evidence };
  }

  function end(heard: readonly Group[], { atMs }: Observation): Transition | undefined {
    const answering = heard.filter((group) => group.answeredRounds > 0);
    // With nobody left to hear (every peer was removed) there is nothing to be cut off from.
    if (answering.length === 0 && heard.length > 0) return undefined;
    const evidence = {
      reason: answering.length > 0 ? "an answer came" : "nobody is left to be heard",
      answeringClusters: namesOf(answering),
      isolatedMs: atMs - (sinceMs ?? atMs),
    };
    sinceMs = undefined;
    return { subject: { kind: "isolation" }, from: "isolated", to: "connected", atMs, evidence };
  }
}

/** Who could tell that a silence is somebody's own and not ours. */
export interface Witnesses {
  /** Somebody of another cluster has answered lately, or there is nobody else to hear. */
  lately(group: Group): boolean;
  /** The same of this very round, or look. */
  now(group: Group): boolean;
}

/** Looks at every group once, not once a group. */
export function findWitnesses(
  groups: Iterable<Group>,
  limits: JudgeLimits,
  isAnswered = (group: Group): boolean => group.roundsSinceAnswer === 0,
): Witnesses {
  const now = new Set<ClusterId>();
  const lately = new Set<ClusterId>();
  const expected = new Set<ClusterId>();
  for (const group of groups) {
    if (isAnswered(group)) now.add(group.clusterId);
    if (group.roundsSinceAnswer < limits.witnessRounds) lately.add(group.clusterId);
    if (isExpected(group)) expected.add(group.clusterId);
  }
  const hasOther = (clusters: ReadonlySet<ClusterId>, { clusterId }: Group): boolean =>
    clusters.size > (clusters.has(clusterId) ? 1 : 0);
  return {
    lately: (group) => hasOther(lately, group) || !hasOther(expected, group),
    now: (group) => hasOther(now, group) || !hasOther(expected, group),
  };
}

/** Heard until now: neither down nor a group of which every node is. */
function isExpected(group: Group): boolean {
  if (!group.heard || group.isDown) return false;
  for (const voice of group.voices.values()) if (voice.heard && !voice.isDown) return true;
  return false;
}

/** All that was heard, of two clusters at least, and for so many rounds. */
function isEverybodySilent(heard: readonly Group[], rounds: number): boolean {
  const silent = new Set<ClusterId>();
  for (const group of heard) {
    if (group.answeredRounds > 0) return false;
    if (!isExpected(group)) continue;
    if (group.silentRounds < rounds) return false;
    silent.add(group.clusterId);
  }
  return silent.size >= 2;
}

/** Nobody at all has answered for so many rounds, and two clusters at least should have. */
function isNobodyHeard(heard: readonly Group[], rounds: number): boolean {
  const silent = new Set<ClusterId>();
  for (const group of heard) {
    if (group.roundsSinceAnswer < rounds) return false;
    if (isExpected(group) && group.silentRounds > 0) silent.add(group.clusterId);
  }
  return silent.size >= 2;
}

function evidenceOf(
  heard: readonly Group[],
  observation: Observation,
  limits: JudgeLimits,
): Transition["evidence"] {
  const expected = heard.filter(isExpected);
  const silentMs = expected.map(({ lastAnswerMs }) => observation.atMs - (lastAnswerMs ?? 0));
  const requests = expected.filter((group) => {
    const heardRequestMs = observation.heardRequests.get(group.clusterId);
    return isInboundHeard(group, { atMs: observation.atMs, heardRequestMs }, limits);
  });
  return {
    reason: requests.length > 0 ? "outbound path broken" : "silent",
    silentClusters: namesOf(expected),
    silentMsMin: Math.min(...silentMs),
    silentMsMax: Math.max(...silentMs),
    clustersStillHeardAsking: namesOf(requests),
    lossPercent: Math.round(100 * Math.max(...expected.map(lossOfGroup))),
  };
}

function namesOf(groups: readonly Group[]): string {
  return [...new Set(groups.map(({ cluster }) => cluster))].sort().join(",");
}
