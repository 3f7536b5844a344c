// Where to look closely: which clusters are asked in every round however many there are, and when
// everybody is. A cluster whose connections nobody of this node has used for a while may be asked
// less often (targets.ts); the first answer that is missing, of anybody, ends that for everybody,
// since who is silent is told only by who else answers. Pure.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { HealthView, Observation, ProbedTarget } from "./observation.ts";
import { targetKey } from "./probe-rows.ts";

export interface Attention {
  /** One round: what was seen in it, and what follows from it for the next ones. */
  look(observation: Observation, view: HealthView): Closeness;
}

export interface Closeness {
  /** An answer is missing, or was within the last second: nobody is asked less often. */
  readonly isAlert: boolean;
  /** In use, or not known to be well. The same object until it changes. */
  readonly watched: ReadonlySet<ClusterId>;
}

/** A cluster to which no connection was opened for so long is not in use. */
const UNUSED_ROUNDS = 600;
/** How long everybody is asked after the last answer that was missing. */
const ALERT_ROUNDS = 10;
/** An answer may take so much longer than the last one. */
const ROUND_TRIP_MARGIN = 1.25;
/** Between two looks for targets that are none any more. */
const FORGET_ROUNDS = 100;

interface Expected {
  sent: number;
  answered: number;
  /** When the first answer that has not come was due. */
  dueMs: number | undefined;
  /** The last round in which it was a target. */
  round: number;
}

export function createAttention(options: { readonly intervalMs: number }): Attention {
  const { intervalMs } = options;
  /** By cluster and family, then by node: no key is made anew for every target of every round. */
  const expected = new Map<number, Map<string, Expected>>();
  const usedAt = new Map<ClusterId, number>();
  let watched: ReadonlySet<ClusterId> = new Set();
  let alertUntil = 0;
  let round = 0;

  /** Whether an answer of anybody who is not known to be down has not come in time. */
  function isAnyMissing({ atMs, blind, targets }: Observation, view: HealthView): boolean {
    const down = new Set(view.nodesDown.map(targetKey));
    const clustersDown = new Set(
      view.clusters.filter(({ state }) => state === "down").map(groupKey),
    );
    let isMissing = false;
    for (const target of targets) {
      const { sent, answered } = target;
      const known = expectedOf(target);
      if (answered !== known.answered || sent < known.sent || blind) known.dueMs = undefined;
      else if (sent > known.sent) known.dueMs ??= atMs;
      known.sent = sent;
      known.answered = answered;
      known.round = round;
      if (isMissing || !isLate(target, known.dueMs, atMs)) continue;
      isMissing = !down.has(targetKey(target)) && !clustersDown.has(groupKey(target));
    }
    if (round % FORGET_ROUNDS === 0) forgetGone();
    return isMissing;
  }

  function expectedOf({ clusterId, family, node, sent, answered }: ProbedTarget): Expected {
    const group = 2 * clusterId + (family === 6 ? 1 : 0);
    let nodes = expected.get(group);
    if (nodes === undefined) expected.set(group, (nodes = new Map<string, Expected>()));
    let known = nodes.get(node);
    // Who was no target in the round before begins anew.
    if (known === undefined || known.round < round - 1) {
      nodes.set(node, (known = { sent, answered, dueMs: undefined, round }));
    }
    return known;
  }

  function forgetGone(): void {
    for (const [group, nodes] of expected) {
      for (const [node, known] of nodes) if (known.round < round) nodes.delete(node);
      if (nodes.size === 0) expected.delete(group);
    }
  }

  /** A probe is due one interval after it was sent; far away an answer takes longer. */
  function isLate(target: ProbedTarget, dueMs: number | undefined, atMs: number): boolean {
    if (dueMs === undefined || target.roundTripMs === undefined) return false;
    return atMs - dueMs >= ROUND_TRIP_MARGIN * target.roundTripMs - intervalMs;
  }

  function watch(observation: Observation, view: HealthView): void {
    for (const { clusterId, connects } of observation.passive) {
      if (connects > 0) usedAt.set(clusterId, round);
    }
    for (const [clusterId, at] of usedAt) if (round - at > UNUSED_ROUNDS) usedAt.delete(clusterId);
    const now = new Set(usedAt.keys());
    for (const { clusterId, state } of view.clusters) if (state !== "healthy") now.add(clusterId);
    if (now.size !== watched.size || now.difference(watched).size > 0) watched = now;
  }

  return {
    look(observation, view) {
      round += 1;
      if (view.isolated || isAnyMissing(observation, view)) alertUntil = round + ALERT_ROUNDS;
      watch(observation, view);
      return { isAlert: round < alertUntil, watched };
    },
  };
}

function groupKey({ clusterId, family }: Pick<ProbedTarget, "clusterId" | "family">): string {
  return `${clusterId}/${family}`;
}
