// A node's health loop: once an interval it reads what the kernel has heard, lets the judge decide,
// applies the decision in the same turn, and asks again. Nothing in it waits for etcd, NATS or
// another process; the loop's own lateness is told to the judge and is never held against others.
//
//   read maps → judge → cluster_state, backends → flows, events, plans → send the next requests
//
// While connects have just begun to fail it looks again before the round is over.
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId, ClusterIdentity } from "../../mesh/core/cluster.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { EventSink } from "../../mesh/operations/event.ts";
import type { TimelineEntry } from "../../mesh/operations/questions.ts";
import type { BackendChange, BackendHealthTarget } from "../apply/backend-health.ts";
import type { ClusterHealthTarget } from "../apply/cluster-health.ts";
import type { FlowReset, ResetOutcome, ResetReason } from "../flows/flow-reset.ts";
import { createAttention, type Closeness } from "./attention.ts";
import type { EchoSocket } from "./echo-socket.ts";
import { createEchoSockets } from "./echo-sockets.ts";
import { eventOfTransition } from "./health-events.ts";
import type { NodeDirectory } from "./node-directory.ts";
import type {
  ClusterView,
  Family,
  HealthView,
  Judge,
  Judgement,
  Observation,
  ProbedTarget,
  Transition,
} from "./observation.ts";
import type { EvidenceReader } from "./passive-evidence.ts";
import type { ProbePlan } from "./probe-plan.ts";
import { createTimeline, type Timeline } from "./timeline.ts";
import type { ProbeRows } from "./probe-rows.ts";

export interface HealthParts {
  readonly intervalMs: number;
  readonly cluster: ClusterIdentity;
  readonly judge: Judge;
  readonly directory: NodeDirectory;
  readonly rows: ProbeRows;
  readonly plan: ProbePlan;
  readonly evidence: EvidenceReader;
  /** When a probe of a cluster's nodes was last heard here, of those that were heard ever. */
  readonly heardRequests: (clusterIds: readonly ClusterId[]) => ReadonlyMap<ClusterId, number>;
  readonly clusters: ClusterHealthTarget;
  readonly backends: BackendHealthTarget;
  /** From this source address; throws what keeps it from being opened. */
  readonly openSocket: (family: Family, source: string) => EchoSocket;
  readonly flows: Pick<FlowReset, "resetCluster" | "resetBackends"> | undefined;
  /** Plans the services again that use these backends. */
  readonly replanBackends: (ids: readonly number[]) => void;
  readonly events: EventSink;
  readonly clock: Clock;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
  readonly log: Logger;
}

/** What the node knows of others' health, for status. */
export interface HealthStatus {
  readonly view: HealthView;
  readonly targets: readonly ProbedTarget[];
  /** By `CLUSTER/FAMILY`: when the state began (wall clock) and on what it was decided. */
  readonly since: ReadonlyMap<string, { readonly atMs: number; readonly transition: Transition }>;
  readonly rounds: number;
  /** Rounds that came so late that nothing could be concluded from them. */
  readonly blindRounds: number;
  /** Why requests of a family cannot be sent; empty if they can. */
  readonly problem: string;
}

export interface Health {
  readonly timeline: Pick<Timeline, "since">;
  status(): HealthStatus;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** After this many intervals without a round, silence means nothing (observation.ts). */
const BLIND_INTERVALS = 2.5;
/** Looks between two rounds come so many to an interval. */
const GLANCES = 4;
/** Rounds between looks at backends that moved while something is down. */
const LOOK_AGAIN_ROUNDS = 10;
const NOTHING_KNOWN: HealthView = {
  clusters: [],
  nodesDown: [],
  backendsDown: [],
  isolated: false,
  probeAlso: [],
};

export function createHealth(parts: HealthParts): Health {
  const { judge, directory, rows, plan, evidence, clock, kernelNowNs, log } = parts;
  const timeline = createTimeline();
  const since = new Map<string, { atMs: number; transition: Transition }>();
  const sockets = createEchoSockets(parts);
  const attention = createAttention(parts);
  let view = NOTHING_KNOWN;
  let closeness: Closeness = { isAlert: true, watched: new Set() };
  let targets: readonly ProbedTarget[] = [];
  let lastMs: number | undefined;
  let round = 0;
  let blindRounds = 0;
  let connected = new Set<ClusterId>();

  const kernelNowMs = (): number => Number(kernelNowNs()) / 1e6;
  /** Of a kernel time in milliseconds. */
  const wallMs = (atMs: number): number => clock.nowMs() - (kernelNowMs() - atMs);

  function observe(): Observation {
    targets = rows.observe();
    const clusterIds = [...directory.clusterIds()];
    const { passive, suspects } = evidence.read(clusterIds);
    const atMs = kernelNowMs();
    const blind = lastMs === undefined || atMs - lastMs > BLIND_INTERVALS * parts.intervalMs;
    if (blind && lastMs !== undefined) blindRounds++;
    lastMs = atMs;
    const heardRequests = parts.heardRequests(clusterIds);
    return { atMs, blind, targets, heardRequests, passive, suspects };
  }

  /** What is no longer connected is forgotten, so that it begins without a past if it returns. */
  function forgetGone(): void {
    const now = new Set(directory.clusterIds());
    for (const id of connected) if (!now.has(id)) parts.clusters.forget(id);
    connected = now;
    if (since.size <= view.clusters.length) return;
    const named = new Set(view.clusters.map(clusterKey));
    for (const key of since.keys()) if (!named.has(key)) since.delete(key);
  }

  /** A round, or with `askedMs` a look before it. Says whether to look again before the next. */
  function look(askedMs?: number): boolean {
    const observation = observe();
    const before = view;
    const isRound = askedMs === undefined || observation.blind;
    const judgement = isRound ? judge.step(observation) : judge.glance({ ...observation, askedMs });
    view = judgement.view;
    if (isRound) closeness = attention.look(observation, view);
    const decidedMs = clock.nowMs();
    const written = new Set(parts.clusters.apply(view));
    forgetGone();
    const change = backendsMayHaveChanged(before) ? parts.backends.apply(view) : undefined;
    const appliedMs = clock.nowMs();
    tell(judgement, { detectedMs: wallMs(observation.atMs), decidedMs, appliedMs, written });
    resetFlows(judgement.transitions, change);
    if (change !== undefined && change.down.length + change.up.length > 0) {
      parts.replanBackends([...change.down, ...change.up]);
    }
    return judgement.glanceAgain;
  }

  /** Nearly always false; true now and then while something is down, since pods move. */
  function backendsMayHaveChanged(before: HealthView): boolean {
    if (!sameBackends(before, view)) return true;
    const isWell = view.nodesDown.length === 0 && !view.isolated;
    if (isWell && parts.backends.nodesInDoubt().length === 0) return false;
    return round % LOOK_AGAIN_ROUNDS === 0;
  }

  function tell(
    { transitions }: Judgement,
    at: {
      readonly detectedMs: number;
      readonly decidedMs: number;
      readonly appliedMs: number;
      readonly written: ReadonlySet<ClusterId>;
    },
  ): void {
    for (const transition of transitions) {
      const event = eventOfTransition(transition);
      parts.events.emit(event);
      const { subject, to } = transition;
      if (subject.kind === "cluster" && transition.from !== to) {
        since.set(clusterKey(subject), { atMs: wallMs(transition.atMs), transition });
      }
      const add = (timeMs: number, what: TimelineEntry["what"]): void =>
        timeline.add({ timeMs, what, cluster: clusterOf(transition), text: event.text });
      if (to === "suspect") add(at.detectedMs, "suspect");
      else if (to === "down" || to === "isolated") {
        add(at.detectedMs, "detected");
        add(at.decidedMs, "decided");
        add(at.appliedMs, "applied");
      } else if (to === "healthy" || to === "connected") add(at.appliedMs, "recovered");
    }
  }

  function resetFlows(transitions: readonly Transition[], change: BackendChange | undefined): void {
    const { flows } = parts;
    if (flows === undefined) return;
    const done = (order: Promise<ResetOutcome>, cluster: string): void => {
      order.then(
        ({ reset }) =>
          timeline.add({
            timeMs: clock.nowMs(),
            what: "flows-reset",
            cluster,
            text: `${reset} flows ended`,
          }),
        (error: unknown) => log.warn("Flows could not be ended", { error }),
      );
    };
    for (const { subject, to } of transitions) {
      if (subject.kind !== "cluster" || to !== "down") continue;
      const { clusterId, family, cluster } = subject;
      done(flows.resetCluster({ clusterId, families: [family], reason: "cluster-down" }), cluster);
    }
    const failed = change?.failed ?? [];
    const byThemselves = new Set(view.backendsDown);
    const reset = (ids: readonly number[], reason: ResetReason): void => {
      const [first] = ids;
      if (first === undefined) return;
      done(flows.resetBackends({ ids, reason }), parts.backends.placeOf(first)?.cluster ?? "");
    };
    reset(
      failed.filter((id) => byThemselves.has(id)),
      "backend-down",
    );
    reset(
      failed.filter((id) => !byThemselves.has(id)),
      "node-down",
    );
  }

  function ask(): void {
    plan.refresh(view, { inDoubt: nodesInDoubt(), closeness });
    const requests = plan.requests(round);
    for (const family of [4, 6] as const) {
      const socket = sockets.of(family, round);
      const of = requests[family];
      const onUnsent = (index: number): void => {
        const request = of[index];
        if (request !== undefined) rows.takeBack(request);
      };
      if (socket === undefined) for (const index of of.keys()) onUnsent(index);
      else if (of.length > 0) socket.send(of, { sentNs: kernelNowNs(), onUnsent });
    }
  }

  function nodesInDoubt(): { clusterId: ClusterId; family: Family; node: string }[] {
    return parts.backends
      .nodesInDoubt()
      .flatMap(({ clusterId, family, node }) =>
        node === undefined ? [] : [{ clusterId, family, node }],
      );
  }

  async function rounds(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const endMs = clock.monotonicMs() + parts.intervalMs;
        let glanceAgain = look();
        ask();
        const askedMs = kernelNowMs();
        round++;
        const untilNextMs = (): number => Math.max(0, endMs - clock.monotonicMs());
        const pauseMs = parts.intervalMs / GLANCES;
        while (glanceAgain && untilNextMs() >= 2 * pauseMs - 1) {
          await clock.sleep(pauseMs, signal);
          glanceAgain = look(askedMs);
        }
        await clock.sleep(untilNextMs(), signal);
      }
    } catch (error) {
      if (!isMeshError(error, "aborted")) throw error;
    } finally {
      sockets.close();
    }
  }

  return {
    timeline,
    status: () => ({ view, targets, since, rounds: round, blindRounds, problem: sockets.problem }),
    async run(signal) {
      await Promise.all([directory.run(signal), rounds(signal)]);
    },
  };
}

/** Of a cluster in one family. */
export function clusterKey(view: Pick<ClusterView, "cluster" | "family">): string {
  return `${view.cluster}/${view.family}`;
}

function clusterOf({ subject }: Transition): string {
  return subject.kind === "isolation" ? "" : subject.cluster;
}

function sameBackends(a: HealthView, b: HealthView): boolean {
  return (
    a.isolated === b.isolated &&
    a.nodesDown.length === b.nodesDown.length &&
    a.backendsDown.length === b.backendsDown.length &&
    a.backendsDown.every((id, i) => id === b.backendsDown[i]) &&
    a.nodesDown.every((node, i) => {
      const other = b.nodesDown[i];
      return (
        node.node === other?.node &&
        node.clusterId === other.clusterId &&
        node.family === other.family
      );
    })
  );
}
