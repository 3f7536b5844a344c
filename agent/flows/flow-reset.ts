// Ends flows to what can serve no more, so that programs learn of it at once and connect anew
// elsewhere: TCP in any state, connected UDP. Which flows, the callers say; when, reset-policy.ts.
//
// A pass (reset-pass.ts) lists the sockets of every namespace of the node and looks each up in the
// datapath's map `flows`: its cost grows with the node's sockets, never with the mesh. What is
// ordered while a pass runs is done by the next one, all of it together. Each order is looked after
// again, twice: a program may have been in connect() while the datapath was being told.
import { setImmediate } from "node:timers/promises";
import type { AddressFamily } from "../../mesh/core/address.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { FlowsAnswer } from "../../mesh/operations/questions.ts";
import type { FlowTarget } from "./flow-target.ts";
import type { Namespaces, NamespacesStatus } from "./namespaces.ts";
import {
  listFlows,
  runPass,
  type Ended,
  type Order as PassOrder,
  type PassParts,
} from "./reset-pass.ts";

export const RESET_REASONS = ["cluster-down", "node-down", "backend-down", "drain"] as const;
export type ResetReason = (typeof RESET_REASONS)[number];

export interface ResetOutcome {
  /** Sockets that the first pass ended; what later looks end is in `status()` only. */
  readonly reset: number;
  /** What could not be listed or ended; a sentence each. */
  readonly problems: readonly string[];
  readonly ms: number;
}

export interface FlowResetStatus extends NamespacesStatus {
  /** Sockets ended since the agent started. */
  readonly resets: Readonly<Record<ResetReason, number>>;
  /** Listings and endings that the kernel refused. */
  readonly failures: number;
  /** The last of them; empty if there was none. */
  readonly lastProblem: string;
}

/** Orders never reject: what failed is in the outcome and in `status()`. */
export interface FlowReset {
  /** Flows to a cluster, whatever the service. */
  resetCluster(target: {
    readonly clusterId: ClusterId;
    readonly families: readonly AddressFamily[];
    readonly reason: ResetReason;
  }): Promise<ResetOutcome>;
  /** Flows to these backends, by their ids in the datapath. */
  resetBackends(target: {
    readonly ids: Iterable<number>;
    readonly reason: ResetReason;
  }): Promise<ResetOutcome>;
  /** Flows that went to a cluster that drains, through a service that others can serve too. */
  resetDrained(target: {
    readonly clusterId: ClusterId;
    /** "NAMESPACE/NAME"; empty for all. */
    readonly services: readonly string[];
  }): Promise<ResetOutcome>;
  /** What a drill asks: a service's flows to one cluster, by what sockets say now. */
  count(asked: { readonly service: string; readonly clusterId: ClusterId }): Promise<FlowsAnswer>;
  status(): FlowResetStatus;
  /** Follows the node's pods and looks after orders again. Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface FlowResetOptions extends PassParts {
  readonly namespaces: Namespaces;
  /** Ids of a service's frontends, by its name. */
  readonly serviceIds: (service: string) => Iterable<number>;
  /** Ids of the frontends that another cluster can serve: only their flows leave for a drain. */
  readonly movable: (clusterId: ClusterId) => ReadonlySet<number>;
  readonly clock: Clock;
  readonly log: Logger;
}

type Order = PassOrder<ResetReason>;

interface Waiting {
  readonly order: Order;
  readonly done: (outcome: ResetOutcome) => void;
}

/** From the choice of a backend to SYN_SENT it takes microseconds, milliseconds when busy. */
const LOOK_AGAIN_AFTER_MS = [100, 900] as const;
/** So many looks are remembered; of a storm of orders the older ones are over within a second. */
const LOOKS_MAX = 1_024;

export function createFlowReset(options: FlowResetOptions): FlowReset {
  const { namespaces, clock, log } = options;
  const resets = { "cluster-down": 0, "node-down": 0, "backend-down": 0, drain: 0 };
  /** By serviceKey; no more entries than services that lost flows. */
  const resetsOfService = new Map<string, number>();
  let failures = 0;
  let lastProblem = "";
  let waiting: Waiting[] = [];
  let passing: Promise<void> | undefined;
  let looks: { readonly order: Order; readonly atMs: number }[] = [];
  let wake = new AbortController();

  /** What is ordered before the next turn of the event loop is one pass. */
  async function passUntilDone(): Promise<void> {
    while (waiting.length > 0) {
      await setImmediate();
      const taken = waiting;
      waiting = [];
      const startedMs = clock.monotonicMs();
      const result = await runPass(
        taken.map(({ order }) => order),
        options,
      );
      for (const ended of result.ended) count(ended);
      failures += result.failures;
      lastProblem = result.problems.at(-1) ?? lastProblem;
      const ms = clock.monotonicMs() - startedMs;
      for (const { order, done } of taken) {
        const reset = result.ended.filter((ended) => ended.order === order).length;
        done({ reset, problems: result.problems, ms });
      }
    }
    passing = undefined;
  }

  function count({ order, flow }: Ended<ResetReason>): void {
    resets[order.reason]++;
    if (flow === undefined) return;
    const key = serviceKey(flow.serviceId, flow.clusterId);
    resetsOfService.set(key, (resetsOfService.get(key) ?? 0) + 1);
  }

  function enqueue(order: Order): Promise<ResetOutcome> {
    return new Promise((resolve) => {
      waiting.push({ order, done: resolve });
      passing ??= passUntilDone();
    });
  }

  async function reset(target: FlowTarget, reason: ResetReason): Promise<ResetOutcome> {
    const order = { target, reason };
    const nowMs = clock.monotonicMs();
    const more = LOOK_AGAIN_AFTER_MS.map((afterMs) => ({ order, atMs: nowMs + afterMs }));
    looks = [...looks, ...more].slice(-LOOKS_MAX);
    wake.abort("there is something to look after");
    const outcome = await enqueue(order);
    const { problems } = outcome;
    log.info("Flows were ended", { reason, ...outcome, problems: problems.length });
    return outcome;
  }

  async function lookAgain(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      wake = new AbortController();
      const nowMs = clock.monotonicMs();
      const due = looks.filter(({ atMs }) => atMs <= nowMs);
      looks = looks.filter(({ atMs }) => atMs > nowMs);
      await Promise.all(due.map(({ order }) => enqueue(order)));
      const nextMs = Math.min(...looks.map(({ atMs }) => atMs), nowMs + IDLE_MS);
      await sleepUntil(nextMs, { clock, signal: AbortSignal.any([signal, wake.signal]) });
    }
    await passing;
  }

  return {
    resetCluster: ({ clusterId, families, reason }) =>
      reset({ kind: "cluster", clusterId, families }, reason),
    resetBackends: ({ ids, reason }) => reset({ kind: "backends", ids: new Set(ids) }, reason),
    resetDrained({ clusterId, services }) {
      const movable = options.movable(clusterId);
      const named = services.flatMap((service) => [...options.serviceIds(service)]);
      const serviceIds =
        services.length === 0 ? movable : new Set(named.filter((id) => movable.has(id)));
      return reset({ kind: "drained", clusterId, serviceIds }, "drain");
    },
    async count({ service, clusterId }) {
      const ids = new Set(options.serviceIds(service));
      const found = { established: 0, connecting: 0, reset: 0 };
      for await (const { socket, flow } of listFlows(options)) {
        if (flow?.clusterId !== clusterId || !ids.has(flow.serviceId)) continue;
        found[socket.connecting ? "connecting" : "established"]++;
      }
      for (const id of ids) found.reset += resetsOfService.get(serviceKey(id, clusterId)) ?? 0;
      return found;
    },
    status: () => ({ ...namespaces.status(), resets: { ...resets }, failures, lastProblem }),
    async run(signal) {
      await Promise.all([namespaces.run(signal), lookAgain(signal)]);
    },
  };
}

/** Nothing is due then; the loop only goes round. */
const IDLE_MS = 60_000;

async function sleepUntil(
  atMs: number,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await clock.sleep(Math.max(0, atMs - clock.monotonicMs()), signal);
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  }
}

function serviceKey(serviceId: number, clusterId: ClusterId): string {
  return `${serviceId} ${clusterId}`;
}
