// Runs one scenario and checks after every step what must always be true. Throws with the scenario
// when something is not.
import { createJudge } from "../../../../../agent/health/judge.ts";
import { DEFAULT_LIMITS, type JudgeLimits } from "../../../../../agent/health/judge-limits.ts";
import type {
  ClusterView,
  Family,
  HealthSubject,
  Judgement,
  Transition,
} from "../../../../../agent/health/observation.ts";
import { NODES_PER_CLUSTER } from "../../../../../agent/health/targets.ts";
import { transitionsMax } from "./bounds.ts";
import {
  isClusterCut,
  isGone,
  isOn,
  isSilenced,
  isUplinkCut,
  largest,
  lossOf,
  withoutUplinkFaults,
  type FaultKind,
} from "./network.ts";
import { createSimulatedProber, INTERVAL_MS } from "./prober.ts";
import type { Scenario } from "./scenario.ts";
import { keyOf, keyOfView, newTruth, type Truth } from "./truth.ts";

export interface RunResult {
  readonly steps: number;
  /** From each clean cut to `down`. */
  readonly detectionsMs: number[];
  /** Clusters that a look between rounds found down. */
  readonly glanceDowns: number;
  /** The most of any cluster and family, and its share of what is allowed. */
  readonly transitionsMost: number;
  readonly transitionsShareMost: number;
}

/** A cut is noticed within this; where nobody connects, it may take so much longer. */
const CUT_MS = 1_000;
const UNWATCHED_MS = 500;
/** More clusters than that, suspected at once, get no second look. */
const SUSPECTED_MAX = 16;
/** What is well again is back this long after the end of its hold-down. */
const RETURN_MS = 1_500;
const GLANCE_MS = INTERVAL_MS / 4;

export function runScenario(
  scenario: Scenario,
  random: () => number,
  limits: JudgeLimits = DEFAULT_LIMITS,
): RunResult {
  const { own, clusters } = scenario;
  const detectionMs = CUT_MS + (scenario.unused === undefined ? 0 : UNWATCHED_MS);
  const beyondUplink = withoutUplinkFaults(scenario);
  const judge = createJudge({ ownClusterId: own.id, ownNode: own.nodes[0] ?? "", limits });
  const prober = createSimulatedProber(scenario, random);
  const truths = clusters.flatMap(({ id }) =>
    ([4, 6] as const).map((family) => newTruth(id, family)),
  );
  const counts = new Map<string, number>();
  const replayed = new Map<string, { state: string; heldBackPercent: number }>();
  const detectionsMs: number[] = [];
  const past: Transition[] = [];
  let [steps, nowMs, lastGapMs, uplinkCutMs, nearIsolationMs] = [0, 0, 0, -Infinity, -Infinity];
  let judgement: Judgement | undefined;
  let lastMs = 0;
  let glanceDowns = 0;
  let isGlance = false;

  while (nowMs < scenario.durationMs) {
    look();
    prober.send(nowMs, judgement?.view);
    const askedMs = nowMs;
    lastMs = nowMs;
    const nextMs = nextRound(nowMs);
    while (judgement?.glanceAgain === true && nowMs + 2 * GLANCE_MS < nextMs) {
      nowMs += GLANCE_MS;
      look(askedMs);
    }
    nowMs = nextMs;
  }
  const ofClusters = [...counts].filter(([key]) => key.startsWith("cluster"));
  const cluster = Math.max(0, ...ofClusters.map(([, count]) => count));
  const allowed = transitionsMax("cluster", scenario.durationMs, limits);
  return {
    steps,
    detectionsMs,
    glanceDowns,
    transitionsMost: cluster,
    transitionsShareMost: cluster / allowed,
  };

  /** A round, or a look after it, and whether all is as promised. */
  function look(askedMs?: number): void {
    const before = judgement;
    const observation = prober.observe(nowMs);
    isGlance = askedMs !== undefined;
    judgement =
      askedMs === undefined ? judge.step(observation) : judge.glance({ ...observation, askedMs });
    steps += 1;
    if (observation.blind) lastGapMs = nowMs;
    if (isUplinkCut(scenario, nowMs) || isUplinkCut(scenario, lastMs)) uplinkCutMs = nowMs;
    for (const truth of truths) {
      // Who is no peer any more is forgotten with the round.
      if (askedMs === undefined && isGone(scenario, truth.clusterId, nowMs)) forget(truth);
      learn(truth, before);
    }
    if (askedMs === undefined) check(judgement, observation.blind);
    else checkGlance(judgement);
    if (judgement.view.isolated) nearIsolationMs = nowMs;
  }

  function nextRound(atMs: number): number {
    const next = atMs + INTERVAL_MS + (random() - 0.5) * 10;
    const pause = scenario.faults.find((fault) => fault.kind === "pause" && isOn(fault, next));
    return pause === undefined ? next : pause.toMs;
  }

  function learn(truth: Truth, before: Judgement | undefined): void {
    const { clusterId, family } = truth;
    if (scenario.faults.length === 0) return;
    const found = clusters.find(({ id }) => id === clusterId);
    if (found === undefined) return;
    const isCut = isClusterCut(beyondUplink, found, { family, atMs: nowMs });
    // Faults that came and went between two rounds may have taken a round's probes with them.
    const touched = scenario.faults.some(
      ({ kind, fromMs, toMs, periodMs, clusterId: victim }) =>
        !["pause", "services", "slow", "loss", "uplink"].includes(kind) &&
        (victim ?? clusterId) === clusterId &&
        fromMs <= nowMs &&
        toMs >= lastMs &&
        periodMs !== undefined,
    );
    if (isCut) {
      truth.cutSinceMs ??= firstCutMs(found, family);
      truth.lastCutMs = nowMs;
    } else truth.cutSinceMs = undefined;
    if (touched) truth.lastCutMs = nowMs;
    if (truth.cutSinceMs === undefined || truth.cutSinceMs > lastMs) {
      truth.wasUsedAtCut = viewOf(before, truth)?.state === "healthy";
    }
    const isWell = scenario.faults.every((fault) => nowMs < fault.fromMs || nowMs > fault.toMs);
    if (!isWell) truth.wellSinceMs = nowMs;
  }

  /** What is no peer is unknown when it returns, and its transitions are counted from then on. */
  function forget(truth: Truth): void {
    Object.assign(truth, { lastGoneMs: nowMs, holdEndsMs: -Infinity });
    const { clusterId, key } = truth;
    const ofIt = new RegExp(`^((cluster|node)/${clusterId}/|backend/${clusterId}..$)`);
    for (const counted of counts.keys()) if (ofIt.test(counted)) counts.delete(counted);
    replayed.delete(`cluster/${key}`);
  }

  /** The moment within the last round, to a millisecond; faults that flap may hide it. */
  function firstCutMs(cluster: (typeof clusters)[number], family: Family): number {
    let atMs = nowMs;
    while (atMs > lastMs && isClusterCut(beyondUplink, cluster, { family, atMs: atMs - 1 })) {
      atMs -= 1;
    }
    return atMs;
  }

  function check({ transitions, view }: Judgement, blind: boolean): void {
    for (const transition of transitions) checkTransition(transition, transitions);
    past.push(...transitions);
    for (const cluster of view.clusters) {
      checkView(cluster);
      hold(!isGone(scenario, cluster.clusterId, nowMs), "what is removed is forgotten");
    }
    if (!view.isolated) for (const truth of truths) checkDetection(truth, view.clusters);
    if (view.isolated) {
      const isCalm = transitions.every(({ to }) => to !== "down");
      hold(isCalm, "nobody goes down in isolation");
      hold(blind || !answeredThisRound(), "isolation ends with the first answer");
    }
    if (isUplinkCut(scenario, nowMs) && uplinkCutFor(detectionMs)) {
      const heard = new Set(view.clusters.filter(isExpected).map((cluster) => cluster.clusterId));
      hold(view.isolated || heard.size < 2, "an uplink that is cut is noticed");
    }
  }

  /** A look between rounds takes clusters down that refuse, and does nothing else. */
  function checkGlance({ transitions, view }: Judgement): void {
    for (const transition of transitions) {
      checkTransition(transition, transitions);
      const { subject, to, evidence } = transition;
      hold(subject.kind === "cluster" && to === "down", "more than a look may do");
      hold(Number(evidence["failedConnects"]) > 0, "down between rounds, and not refused");
      glanceDowns += 1;
    }
    past.push(...transitions);
    for (const cluster of view.clusters) checkView(cluster);
  }

  function isExpected({ state }: ClusterView): boolean {
    return state !== "unknown" && state !== "down";
  }

  function uplinkCutFor(ms: number): boolean {
    if (nowMs - lastGapMs <= ms || nowMs < 1_500) return false;
    for (let atMs = nowMs - ms; atMs <= nowMs; atMs += 20) {
      if (!isUplinkCut(scenario, atMs)) return false;
    }
    return true;
  }

  function answeredThisRound(): boolean {
    return truths.some(({ clusterId, family }) => {
      const last = prober.lastAnswerMs(clusterId, family);
      return last !== undefined && last > lastMs && last <= nowMs;
    });
  }

  function checkTransition(transition: Transition, all: readonly Transition[]): void {
    const { subject, from, to, evidence } = transition;
    const key = keyOf(subject);
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    const allowed = transitionsMax(subject.kind, nowMs, limits);
    hold(count <= allowed, `${key}: ${count} transitions, ${allowed} allowed`);
    for (const [name, figure] of Object.entries(evidence)) {
      hold(typeof figure === "string" || Number.isFinite(figure), `${name} is ${figure}`);
    }
    if (subject.kind === "node" && to === "down") checkNodeDown(subject);
    if (subject.kind !== "cluster") return;
    const held = Number(evidence["heldBackPercent"] ?? 0);
    const known = replayed.get(key) ?? { state: "unknown", heldBackPercent: 0 };
    hold(known.state === from, `${key} left ${from}, and was ${known.state}`);
    replayed.set(key, { state: to, heldBackPercent: held });
    if (to === "down") checkDown(transition, all);
  }

  function checkDown(transition: Transition, all: readonly Transition[]): void {
    const { subject, evidence } = transition;
    if (subject.kind !== "cluster") return;
    const { clusterId, family } = subject;
    const truth = truths.find(({ key }) => key === `${clusterId}/${family}`);
    if (truth === undefined) return;
    truth.holdEndsMs = nowMs + Number(evidence["holdMs"]);
    const rounds = Number(evidence["silentRounds"]);
    // The last silence that a look counts has lasted since the round before it.
    const whole = isGlance ? rounds - 1 : rounds;
    const lastedMs = 0.9 * whole * INTERVAL_MS + (isGlance ? GLANCE_MS : 0);
    hold(nowMs - lastGapMs >= lastedMs, "a pause is no evidence");
    const silentMs = nowMs - (prober.lastAnswerMs(clusterId, family) ?? 0);
    const hurried = rounds < limits.downRounds;
    hold(
      silentMs >= (hurried ? 0.5 : limits.downRounds - 1.5) * INTERVAL_MS,
      "it has just answered",
    );
    hold(
      all.every(({ to }) => to !== "isolated"),
      "down and isolated at once",
    );
    const hadWitness = clusters.length > 1 || scenario.own.nodes.length > 1;
    // While all its connects fail, one round without an answer is enough, whatever took it.
    const slowed =
      hurried && ["slow", "services"].some((kind) => isAffected(kind as FaultKind, clusterId));
    // An uplink that flaps faster than rounds come can hit one cluster's answers and spare others'.
    const aliased = scenario.faults.some(
      ({ kind, periodMs }) => kind === "uplink" && (periodMs ?? Infinity) < detectionMs,
    );
    // All who are asked may be silent while others would answer; of a suspect, twice as many.
    const looks = transition.from === "suspect" ? 2 : 1;
    const asked = prober.asked(clusterId, family);
    const { nodes, roundTripMs } = clusters.find(({ id }) => id === clusterId) ?? own;
    const isMute = (node: string) => isSilenced(scenario, { clusterId, family, node }, lastMs);
    // Those of the second look have two rounds to answer in.
    const enough = roundTripMs > 2 * INTERVAL_MS ? NODES_PER_CLUSTER : asked.length;
    const unlucky =
      asked.length >= Math.min(nodes.length, looks * NODES_PER_CLUSTER) &&
      asked.filter(isMute).length >= enough;
    // Beyond the budget, without a second look, loss alone makes seven silent rounds at times.
    const starved = clusters.length > SUSPECTED_MAX && lossOf(scenario, clusterId, nowMs) > 0.1;
    const ownFault =
      nowMs - truth.lastCutMs <= detectionMs || slowed || aliased || unlucky || starved || outrun();
    hold(
      ownFault || (!hadAnyWitness(hadWitness) && nowMs - uplinkCutMs <= detectionMs),
      "it is well",
    );
    if (truth.cutSinceMs === undefined || !truth.wasUsedAtCut) return;
    if (!isCleanWitness(clusterId, truth.cutSinceMs - detectionMs)) return;
    detectionsMs.push(nowMs - truth.cutSinceMs);
  }

  /** A moment of the uplink was shorter than a round trip: answers under way missed it. */
  function outrun(): boolean {
    let cutMs = 0;
    for (let atMs = nowMs - detectionMs; atMs <= nowMs; atMs += 10) {
      if (isUplinkCut(scenario, atMs)) cutMs += 10;
    }
    return cutMs > 0 && cutMs < 1.25 * Math.max(...clusters.map((c) => c.roundTripMs));
  }

  function isAffected(kind: FaultKind, clusterId: number): boolean {
    return (
      largest(scenario, kind, clusterId, nowMs) + largest(scenario, kind, clusterId, lastMs) > 0
    );
  }

  /** Whether somebody was there to hear besides one cluster, when the uplink was cut. */
  function hadAnyWitness(possible: boolean): boolean {
    if (!possible) return false;
    const others = truths.filter(
      ({ lastCutMs, lastGoneMs }) => uplinkCutMs - Math.max(lastCutMs, lastGoneMs) > 10_000,
    );
    const ownHeard = scenario.own.nodes
      .slice(1)
      .some((node) => !isSilencedNode(scenario.own.id, node, uplinkCutMs));
    return new Set(others.map(({ clusterId }) => clusterId)).size + (ownHeard ? 1 : 0) >= 2;
  }

  function isSilencedNode(clusterId: number, node: string, atMs: number): boolean {
    const faults = scenario.faults.filter(({ kind }) => kind === "node");
    return faults.some((f) => f.clusterId === clusterId && f.node === node && atMs >= f.fromMs);
  }

  function checkNodeDown(subject: HealthSubject & { readonly kind: "node" }): void {
    const { clusterId, family, node } = subject;
    if (scenario.faults.some(({ kind, amount }) => kind === "loss" && (amount ?? 0) > 0.1)) return;
    const found = [own, ...clusters].find(({ id }) => id === clusterId);
    const roundTripMs = (found?.roundTripMs ?? 0) + largest(scenario, "slow", clusterId, nowMs);
    const wasSilenced = Array.from({ length: 120 }, (_, i) => nowMs - i * 10).some((atMs) =>
      isSilenced(scenario, { clusterId, family, node }, atMs),
    );
    hold(wasSilenced || roundTripMs > 300, `node ${node} of ${clusterId} is well`);
  }

  function checkView(cluster: ClusterView): void {
    const known = replayed.get(keyOfView(cluster)) ?? { state: "unknown", heldBackPercent: 0 };
    hold(known.state === cluster.state, "a state without a transition");
    hold(known.heldBackPercent === cluster.heldBackPercent, "traffic held back unannounced");
    const holdsBack = cluster.heldBackPercent > 0;
    hold(holdsBack === (cluster.state === "recovering"), "traffic held back while not recovering");
    const { lossPercent, roundTripMs = 0, usualRoundTripMs = 0 } = cluster;
    hold(lossPercent + roundTripMs + usualRoundTripMs < Infinity, "a figure that is none");
  }

  function checkDetection(truth: Truth, views: readonly ClusterView[]): void {
    const { clusterId, family, key, cutSinceMs } = truth;
    const view = views.find((c) => c.clusterId === clusterId && c.family === family);
    if (view === undefined || view.state === "unknown") return;
    const settledMs = Math.max(lastGapMs, nearIsolationMs, uplinkCutMs);
    if (
      cutSinceMs !== undefined &&
      nowMs - Math.max(cutSinceMs, settledMs, truth.lastGoneMs) > detectionMs
    ) {
      const others = isCleanWitness(clusterId, nowMs - detectionMs);
      hold(!others || view.state === "down", `${key} is cut and ${view.state}`);
    }
    const calmMs = Math.max(truth.wellSinceMs, truth.holdEndsMs, lastGapMs);
    // At one probe a round, answers that vary by a round leave rounds without one, and the return
    // waits for five in a row.
    const { probesPerSecondMax, probesPerSecondQuiet } = scenario;
    const isThin =
      (probesPerSecondMax ?? probesPerSecondQuiet) !== undefined || clusters.length > SUSPECTED_MAX;
    const roundTripMs = clusters.find(({ id }) => id === clusterId)?.roundTripMs ?? 0;
    if (view.state !== "down" || (isThin && roundTripMs > 0.8 * INTERVAL_MS)) return;
    hold(nowMs - calmMs <= RETURN_MS, `${key} does not come back`);
  }

  /** Somebody of another cluster is untouched since then: no doubt whose fault it is. */
  function isCleanWitness(clusterId: number, sinceMs: number): boolean {
    const isTouched = (id: number): boolean =>
      scenario.faults.some(
        (fault) =>
          (fault.clusterId ?? id) === id &&
          fault.fromMs <= nowMs &&
          fault.toMs >= sinceMs - detectionMs &&
          (fault.kind !== "loss" || lossOf(scenario, id, nowMs) > 0.1),
      );
    const ownWitness = own.nodes.length > 1 && !isTouched(own.id);
    return (
      nowMs > 2_000 && (ownWitness || clusters.some(({ id }) => id !== clusterId && !isTouched(id)))
    );
  }

  function viewOf(from: Judgement | undefined, truth: Truth): ClusterView | undefined {
    return from?.view.clusters.find(
      ({ clusterId, family }) => clusterId === truth.clusterId && family === truth.family,
    );
  }

  function hold(isTrue: boolean, what: string): void {
    if (isTrue) return;
    const told = past.slice(-12).map((t) => JSON.stringify(t));
    throw new Error(
      `At ${nowMs.toFixed(1)} ms: ${what}\n${JSON.stringify(scenario, undefined, 1)}\n${told.join("\n")}`,
    );
  }
}
