// The health of single backends, by what connections to them come to. A backend can only be at
// fault while its node answers: otherwise the node is, or its cluster. Pure.
//
//   healthy ── connects fail, its node answers ──► down ── back-off over, or its node is back
//      ▲                                            ▲            │
//      │                                            │ fails      ▼
//      └──── a connect succeeds, or none fails ─────┴─────── recovering (tried again)
//
// Nobody connects to what is down, so only trying it again tells whether it is back. The back-off
// doubles: a backend that refuses for hours costs one trial a minute.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { createHoldDown, type HoldDown } from "./judge-hold-down.ts";
import type { JudgeLimits } from "./judge-limits.ts";
import type { BackendEvidence, HealthState, NodeView, Transition } from "./observation.ts";

/** What is known of the place where a backend runs. */
export type Whereabouts =
  /** Its node answers, or nothing is known that speaks against it. */
  | "answers"
  /** Its node or its cluster does not answer: wait. */
  | "silent"
  /** Its node or its cluster is down, which explains everything. */
  | "down"
  /** Its node is not among the probed ones: ask for it. */
  | "unprobed";

export interface BackendRound {
  readonly atMs: number;
  whereabouts(backend: BackendEvidence): Whereabouts;
  /** Many connects to its cluster fail and none succeeds: one failure is enough. */
  isRefusing(clusterId: ClusterId): boolean;
}

export interface BackendHealth {
  judge(news: readonly BackendEvidence[], round: BackendRound): Transition[];
  /** Nodes that failed connections and retransmissions speak of, the latest last. */
  accused(): readonly NodeView[];
  down(): number[];
  forgetCluster(clusterId: ClusterId): void;
}

interface Backend {
  latest: BackendEvidence;
  state: HealthState;
  readonly holdDown: HoldDown;
  /** Within the window, since the last success. */
  failures: number;
  retransmissions: number;
  windowSinceMs: number;
  newsMs: number;
  /** End of the back-off or of the trial. */
  untilMs: number;
  /** While it was down its node or its cluster was, too. */
  wasCutOff: boolean;
  /** Since when its node should have been probed. */
  askedSinceMs: number | undefined;
}

/** Retransmissions of a backend within the window that make its node worth a look. */
const RETRANSMISSIONS = 2;

export function createBackendHealth(limits: JudgeLimits): BackendHealth {
  const backends = new Map<number, Backend>();
  return {
    judge(news, round) {
      for (const evidence of news) note(evidence, round.atMs);
      const transitions: Transition[] = [];
      for (const [id, backend] of backends) {
        const transition = judgeOne(backend, round);
        if (transition !== undefined) transitions.push(transition);
        if (isForgotten(backend, round.atMs)) backends.delete(id);
      }
      return transitions;
    },
    accused: () =>
      [...backends.values()]
        .filter(isAccusing)
        .sort((a, b) => a.newsMs - b.newsMs)
        .flatMap(({ latest: { clusterId, cluster, family, node } }) =>
          node === undefined ? [] : [{ clusterId, cluster, family, node }],
        ),
    down: () =>
      [...backends]
        .filter(([, { state }]) => state === "down")
        .map(([id]) => id)
        .sort((a, b) => a - b),
    forgetCluster(clusterId) {
      for (const [id, { latest }] of backends) {
        if (latest.clusterId === clusterId) backends.delete(id);
      }
    },
  };

  function note(evidence: BackendEvidence, atMs: number): void {
    const backend = backends.get(evidence.backendId) ?? newBackend(evidence, atMs);
    if (backend === undefined) return;
    if (evidence.established > 0 || atMs - backend.windowSinceMs > limits.backendWindowMs) {
      backend.failures = 0;
      backend.retransmissions = 0;
    }
    if (backend.failures === 0) backend.windowSinceMs = atMs;
    backend.latest = evidence;
    backend.failures += evidence.failures;
    backend.retransmissions += evidence.retransmissions;
    backend.newsMs = atMs;
  }

  function newBackend(evidence: BackendEvidence, atMs: number): Backend | undefined {
    if (backends.size >= limits.backendsMax) return undefined;
    const { holdDownMs: firstMs, holdDownMaxMs: maxMs, quietMs } = limits;
    const backend: Backend = {
      latest: evidence,
      state: "healthy",
      holdDown: createHoldDown({ firstMs, maxMs, quietMs }),
      failures: 0,
      retransmissions: 0,
      windowSinceMs: atMs,
      newsMs: atMs,
      untilMs: 0,
      wasCutOff: false,
      askedSinceMs: undefined,
    };
    backends.set(evidence.backendId, backend);
    return backend;
  }

  function isAccusing({ failures, retransmissions }: Backend): boolean {
    return failures > 0 || retransmissions >= RETRANSMISSIONS;
  }

  function judgeOne(backend: Backend, round: BackendRound): Transition | undefined {
    const { atMs } = round;
    // Failures are kept while they wait for an answer about their node, and not for ever.
    if (atMs - backend.newsMs > limits.accusedMs) {
      backend.failures = 0;
      backend.retransmissions = 0;
    }
    const where = placeOf(backend, round);
    // What its node or its cluster explains is not held against it when they are back.
    if (where === "down") {
      backend.failures = 0;
      backend.retransmissions = 0;
    }
    const isNews = backend.newsMs === atMs;
    const succeeded = isNews && backend.latest.established > 0 && backend.failures === 0;
    switch (backend.state) {
      case "down":
        if (succeeded) return enter(backend, "healthy", atMs);
        backend.wasCutOff ||= where === "down";
        if (where !== "answers") return undefined;
        return backend.wasCutOff || atMs >= backend.untilMs
          ? enter(backend, "recovering", atMs)
          : undefined;
      case "recovering":
        if (succeeded) return enter(backend, "healthy", atMs);
        if (where !== "answers") return undefined;
        if (backend.failures > 0) return enter(backend, "down", atMs);
        return atMs >= backend.untilMs ? enter(backend, "healthy", atMs) : undefined;
      default: {
        const enough = round.isRefusing(backend.latest.clusterId) ? 1 : limits.backendFailures;
        if (backend.failures < enough || where !== "answers") return undefined;
        return enter(backend, "down", atMs);
      }
    }
  }

  function placeOf(backend: Backend, round: BackendRound): Whereabouts {
    const where = round.whereabouts(backend.latest);
    if (where !== "unprobed" || !isAccusing(backend)) {
      backend.askedSinceMs = undefined;
      return where === "unprobed" ? "answers" : where;
    }
    backend.askedSinceMs ??= round.atMs;
    // Whoever cannot be probed is judged by what connects to it come to.
    return round.atMs - backend.askedSinceMs > limits.backendWindowMs ? "answers" : "silent";
  }

  function enter(backend: Backend, to: HealthState, atMs: number): Transition {
    const { failures, retransmissions, state: from } = backend;
    const { backendId, clusterId, cluster, family, node } = backend.latest;
    backend.state = to;
    backend.failures = 0;
    backend.retransmissions = 0;
    backend.wasCutOff = false;
    if (to === "down") backend.untilMs = atMs + backend.holdDown.fail(atMs);
    if (to === "recovering") backend.untilMs = atMs + limits.trialMs;
    if (to === "healthy") backend.holdDown.recover(atMs);
    return {
      subject: { kind: "backend", backendId, clusterId, cluster, family, node },
      from,
      to,
      atMs,
      evidence: {
        reason:
          { down: "connects fail while its node answers", recovering: "tried again" }[
            to as string
          ] ?? (backend.latest.established > 0 ? "a connect succeeded" : "no connect failed"),
        failedConnects: failures,
        retransmissions,
        windowMs: Math.max(0, Math.round(atMs - backend.windowSinceMs)),
        holdMs: to === "healthy" ? 0 : Math.round(backend.untilMs - atMs),
      },
    };
  }

  function isForgotten(backend: Backend, atMs: number): boolean {
    if (backend.state !== "healthy" || atMs - backend.newsMs <= limits.accusedMs) return false;
    // One that was never down has no relapses to be remembered.
    return backend.untilMs === 0 || backend.holdDown.isForgotten(atMs);
  }
}
