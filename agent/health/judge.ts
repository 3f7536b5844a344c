// The judge: one observation a round in, transitions and the view of health out. Pure: no clock, no
// kernel, no control plane; the same observations give the same judgements. Costs what there is of
// targets and suspects, never of services.
//
//   listening ─► isolation ─► clusters ─► nodes ─► backends ─► view
//
// Order matters: what is explained by the uplink is not the clusters', what is explained by a
// cluster not its nodes', and what is explained by a node not its backends' fault.
//
// A glance, between two rounds, decides one thing only: that a cluster which refuses and no longer
// answers is down. What it has seen is counted by the round after it.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { createBackendHealth, type BackendRound, type Whereabouts } from "./judge-backend.ts";
import { createClusterHealth, type ClusterHealth, type ClusterRound } from "./judge-cluster.ts";
import { createIsolation, findWitnesses, type Witnesses } from "./judge-isolation.ts";
import { DEFAULT_LIMITS, type JudgeLimits } from "./judge-limits.ts";
import { createListening, keyOfGroup, type Group } from "./judge-listening.ts";
import { createNodeHealth } from "./judge-node.ts";
import { createPassive } from "./judge-passive.ts";
import { planProbeRequests } from "./judge-probe-requests.ts";
import type {
  BackendEvidence,
  Family,
  Glance,
  HealthView,
  Judge,
  NodeView,
  Observation,
  Transition,
} from "./observation.ts";

export interface JudgeOptions {
  readonly ownClusterId: ClusterId;
  readonly ownNode: string;
  /** What the kernel still holds as down from before this process began: down until it answers. */
  readonly downBefore?: readonly { readonly clusterId: ClusterId; readonly family: Family }[];
  readonly limits?: Partial<JudgeLimits>;
}

export function createJudge(options: JudgeOptions): Judge {
  const limits: JudgeLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const { ownClusterId, ownNode } = options;
  const listening = createListening({ ownClusterId, limits });
  const isolation = createIsolation(limits);
  const passive = createPassive(limits);
  const nodes = createNodeHealth(limits);
  const backends = createBackendHealth(limits);
  const downBefore = new Set(
    (options.downBefore ?? []).map(({ clusterId, family }) => keyOfGroup(clusterId, family)),
  );
  let clusters = new Map<Group, ClusterHealth>();
  let known = new Set<ClusterId>();
  /** Of backends, from the looks since the last round. */
  let news: readonly BackendEvidence[] = [];

  return {
    step(observation) {
      listening.listen(observation);
      meet(observation.atMs);
      passive.add(observation);
      const suspects = [...news, ...observation.suspects];
      news = [];
      const transitions = observation.blind ? [] : judge({ ...observation, suspects });
      return { transitions, view: view(), glanceAgain: !observation.blind && mayHurry() };
    },
    glance(glance) {
      passive.add(glance);
      news = [...news, ...glance.suspects];
      const transitions = isolation.isIsolated ? [] : judgeInBetween(glance);
      return { transitions, view: view(), glanceAgain: mayHurry() };
    },
  };

  function judge(observation: Observation): Transition[] {
    const groups = [...listening.groups.values()];
    const { transition, isOver } = isolation.judge(groups, observation);
    if (isOver) listening.beginAnew(observation.atMs);
    const transitions = transition === undefined ? [] : [transition];
    if (isolation.isIsolated) return transitions;
    return [
      ...transitions,
      ...judgeClusters(groups, observation),
      ...judgeNodes(groups, observation.atMs),
      ...backends.judge(observation.suspects, backendRound(observation.atMs)),
    ];
  }

  /** Clusters that came begin unknown, those that are gone are forgotten. */
  function meet(atMs: number): void {
    const met = new Map<Group, ClusterHealth>();
    for (const [key, group] of listening.groups) {
      if (group.isOwn) continue;
      const begin = downBefore.delete(key) ? { downSinceMs: atMs } : {};
      met.set(group, clusters.get(group) ?? createClusterHealth(group, limits, begin));
    }
    clusters = met;
    const present = new Set([...listening.groups.values()].map(({ clusterId }) => clusterId));
    for (const clusterId of known) if (!present.has(clusterId)) backends.forgetCluster(clusterId);
    known = present;
  }

  function judgeClusters(groups: readonly Group[], observation: Observation): Transition[] {
    const transitions: Transition[] = [];
    const witnesses = findWitnesses(groups, limits);
    for (const [group, health] of clusters) {
      transitions.push(...health.judge(roundOf(group, observation, witnesses)));
    }
    return transitions;
  }

  function judgeInBetween(glance: Glance): Transition[] {
    const glimpses = listening.glance(glance);
    const groups = listening.groups.values();
    const isAnswered = (group: Group): boolean => glimpses.get(group)?.isAnswered === true;
    const witnesses = findWitnesses(groups, limits, isAnswered);
    const transitions: Transition[] = [];
    for (const [group, health] of clusters) {
      const overdueProbes = glimpses.get(group)?.missed ?? 0;
      if (overdueProbes === 0) continue;
      const round = roundOf(group, glance, witnesses);
      transitions.push(...health.glance({ ...round, overdueProbes }));
    }
    return transitions;
  }

  function roundOf(
    group: Group,
    { atMs, heardRequests }: Observation,
    witnesses: Witnesses,
  ): ClusterRound {
    const { clusterId } = group;
    return {
      atMs,
      hasWitness: witnesses.lately(group),
      hasWitnessNow: witnesses.now(group),
      failedConnects: passive.failedConnects(clusterId),
      refusal: passive.refusal(clusterId),
      heardRequestMs: heardRequests.get(clusterId),
      overdueProbes: 0,
    };
  }

  /** Whether a look before the next round could take a cluster down. */
  function mayHurry(): boolean {
    if (isolation.isIsolated) return false;
    for (const { clusterId, heard, isDown } of clusters.keys()) {
      if (heard && !isDown && passive.hasBegun(clusterId)) return true;
    }
    return false;
  }

  function judgeNodes(groups: readonly Group[], atMs: number): Transition[] {
    nodes.forget(atMs);
    const accused = new Set(backends.accused().map(keyOfNode));
    const isAnybodyHeard = groups.some((group) => group.roundsSinceAnswer < limits.witnessRounds);
    return groups.flatMap((group) =>
      [...group.voices.values()].flatMap((voice) => {
        const isAccused = accused.size > 0 && accused.has(keyOfNode({ ...group, ...voice }));
        const transition = nodes.judge(voice, { atMs, isAccused, isAnybodyHeard });
        return transition === undefined ? [] : [transition];
      }),
    );
  }

  function backendRound(atMs: number): BackendRound {
    return { atMs, whereabouts, isRefusing: (id) => passive.isRefusing(id) };
  }

  function whereabouts({ clusterId, family, node }: BackendEvidence): Whereabouts {
    if (clusterId === ownClusterId && node === ownNode) return "answers";
    const group = listening.groups.get(keyOfGroup(clusterId, family));
    if (group === undefined) return "answers";
    if (group.isDown) return "down";
    if (!group.isOwn && group.silentRounds > 0) return "silent";
    if (node === undefined) return "answers";
    const voice = group.voices.get(node);
    if (voice === undefined) return "unprobed";
    if (voice.isDown) return "down";
    return voice.answeredRounds === 0 ? "silent" : "answers";
  }

  function view(): HealthView {
    const groups = [...listening.groups.values()];
    const accused = backends
      .accused()
      .filter(({ clusterId, node }) => clusterId !== ownClusterId || node !== ownNode);
    return {
      clusters: [...clusters.values()].map((health) => health.view()),
      nodesDown: groups.flatMap((group) =>
        [...group.voices.values()]
          .filter(({ isDown }) => isDown)
          .map(({ node }) => nameOf(group, node)),
      ),
      backendsDown: backends.down(),
      isolated: isolation.isIsolated,
      probeAlso: isolation.isIsolated ? [] : planProbeRequests(groups, accused, limits),
    };
  }
}

function nameOf({ clusterId, cluster, family }: Group, node: string): NodeView {
  return { clusterId, cluster, family, node };
}

function keyOfNode({ clusterId, family, node }: Omit<NodeView, "cluster">): string {
  return `${clusterId}/${family}/${node}`;
}
