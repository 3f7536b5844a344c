// The health of single nodes: a node is down when it is silent while others of its cluster answer.
// For a node of our own cluster anybody who answers will do. Pure.
//
//   healthy ── silent, others answer ──► down ── answers, hold-down over ──► healthy
import { createHoldDown, type HoldDown } from "./judge-hold-down.ts";
import type { JudgeLimits } from "./judge-limits.ts";
import { lossOfGroup, type Group, type Voice } from "./judge-listening.ts";
import { isAccusedNodeDown, isNodeDown, lossOf } from "./judge-silence.ts";
import type { Transition } from "./observation.ts";

export interface NodeHealth {
  judge(voice: Voice, round: NodeRound): Transition | undefined;
  /** Of what has been well, or has not been probed, for long enough nothing is remembered. */
  forget(atMs: number): void;
}

export interface NodeRound {
  readonly atMs: number;
  /** Connections that fail have named it. */
  readonly isAccused: boolean;
  /** Somebody of any cluster has answered within the last rounds. */
  readonly isAnybodyHeard: boolean;
}

interface Memory {
  readonly holdDown: HoldDown;
  untilMs: number;
  turnedMs: number;
}

export function createNodeHealth(limits: JudgeLimits): NodeHealth {
  /** By name: who stands in for others is probed now and then, and relapses all the same. */
  const memories = new Map<string, Memory>();
  return {
    judge(voice, round) {
      if (voice.isDown) return isUp(voice, round.atMs) ? turn(voice, round) : undefined;
      return isDown(voice, round) ? turn(voice, round) : undefined;
    },
    forget(atMs) {
      for (const [name, { holdDown, turnedMs }] of memories) {
        const isOld = atMs - turnedMs >= limits.quietMs + limits.holdDownMaxMs;
        if (isOld || holdDown.isForgotten(atMs)) memories.delete(name);
      }
    },
  };

  function isUp(voice: Voice, atMs: number): boolean {
    const untilMs = memories.get(nameOf(voice))?.untilMs ?? 0;
    return voice.answeredRounds >= limits.recoverRounds && atMs >= untilMs;
  }

  function isDown(voice: Voice, round: NodeRound): boolean {
    if (voice.silentRounds === 0 || !(voice.heard || round.isAccused)) return false;
    if (!othersAnswer(voice.group, round)) return false;
    const silence = {
      rounds: voice.silentRounds,
      probes: voice.silentProbes,
      // Of a node that was never heard, only what its neighbours lose is known.
      loss: Math.max(lossOf([voice.estimate]), voice.heard ? 0 : lossOfGroup(voice.group)),
    };
    return round.isAccused ? isAccusedNodeDown(silence, limits) : isNodeDown(silence, limits);
  }

  function othersAnswer(group: Group, round: NodeRound): boolean {
    if (group.isOwn) return round.isAnybodyHeard;
    return !group.isDown && group.roundsSinceAnswer < limits.witnessRounds;
  }

  function newMemory(turnedMs: number): Memory {
    return { holdDown: createHoldDown(heldBy(limits)), untilMs: 0, turnedMs };
  }

  function turn(voice: Voice, { atMs, isAccused }: NodeRound): Transition {
    const memory = memories.get(nameOf(voice)) ?? newMemory(atMs);
    memories.set(nameOf(voice), memory);
    memory.turnedMs = atMs;
    voice.isDown = !voice.isDown;
    const heldMs = voice.isDown ? memory.holdDown.fail(atMs) : 0;
    if (!voice.isDown) memory.holdDown.recover(atMs);
    memory.untilMs = atMs + heldMs;
    const { clusterId, cluster, family } = voice.group;
    return {
      subject: { kind: "node", clusterId, cluster, family, node: voice.node },
      from: voice.isDown ? "healthy" : "down",
      to: voice.isDown ? "down" : "healthy",
      atMs,
      evidence: {
        reason: voice.isDown ? "silent while others answer" : "answers",
        silentRounds: voice.silentRounds,
        silentProbes: voice.silentProbes,
        answeredRounds: voice.answeredRounds,
        lossPercent: Math.round(100 * lossOf([voice.estimate])),
        namedByConnections: isAccused ? "yes" : "no",
        ...(voice.lastAnswerMs === undefined
          ? {}
          : { lastAnswerMsAgo: Math.round(atMs - voice.lastAnswerMs) }),
        holdMs: heldMs,
      },
    };
  }
}

function nameOf({ node, group: { clusterId, cluster, family } }: Voice): string {
  return `${clusterId}/${cluster}/${family}/${node}`;
}

function heldBy(limits: JudgeLimits) {
  const { holdDownMs, holdDownMaxMs, quietMs } = limits;
  return { firstMs: holdDownMs, maxMs: holdDownMaxMs, quietMs };
}
