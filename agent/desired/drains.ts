// Drains that are in force for this node: what our own cluster orders of itself and about others,
// and what each peer orders of itself. Whole clusters become rows of cluster_state, single services
// are planned again, and flows are told by the table.
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";
import { drainIsInForce, sameDrain, type DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import type { ClusterDrainTarget, WantedDrain } from "../apply/cluster-drain.ts";
import type { Intent } from "../intent/intent.ts";
import { percentsByService, strongestDrain } from "../plan/plan-drains.ts";
import { followPeers } from "./follow.ts";

export interface DrainPlannerOptions {
  readonly intent: Intent;
  readonly target: ClusterDrainTarget;
  /** Plans these services again, by `namespace/name`. */
  readonly replan: (services: Iterable<string>) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface DrainPlanner {
  /** By "TELLER/ID"; with the cluster's id as soon as it is known. */
  readonly inForce: Table<DrainRecord>;
  /** How far one cluster is drained for one service alone, apart from drains of all of it. */
  percentOf(service: string, cluster: string): number;
  /**
   * Resolves once every drain that will be told has been heard, or after a while: older apiservers
   * and peers tell of none. Also when the signal aborts.
   */
  known(signal: AbortSignal): Promise<void>;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** From our own services on, in the same etcd; a list of a few drains takes milliseconds. */
const HEARD_LIMIT_MS = 3_000;
const HEARD_LOOK_MS = 50;
/** How long a step of the wall clock may go unnoticed. */
const REVIEW_MS = 10_000;

export function createDrainPlanner(options: DrainPlannerOptions): DrainPlanner {
  const { intent, target, clock, log } = options;
  const { own, peers } = intent;
  const inForce = createTable<DrainRecord>({ name: "drains", equals: sameDrain });
  let byService: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map();
  let allKnown = false;
  let wake: (() => void) | undefined;

  function idOf({ cluster, clusterId }: DrainRecord): ClusterId | undefined {
    if (cluster === own.cluster.name) return own.cluster.id;
    return peers.get(cluster)?.cluster.id ?? clusterId;
  }

  function collect(): Map<string, DrainRecord> {
    const nowMs = clock.nowMs();
    const found = new Map<string, DrainRecord>();
    const add = (teller: string, drains: Table<DrainRecord>): void => {
      for (const [id, drain] of drains.entries()) {
        if (!drainIsInForce(drain, nowMs)) continue;
        found.set(`${teller}/${id}`, { ...drain, clusterId: idOf(drain) });
      }
    };
    add(own.cluster.name, own.drains);
    add(own.cluster.name, own.localDrains);
    for (const [name, peer] of peers.entries()) add(name, peer.drains);
    return found;
  }

  function review(): void {
    const found = collect();
    for (const [key, drain] of found) inForce.put(key, drain);
    for (const [key] of inForce.entries()) if (!found.has(key)) inForce.delete(key);
    applyClusters(found.values());
    replanServices(found.values());
  }

  function applyClusters(drains: Iterable<DrainRecord>): void {
    const nowMs = clock.nowMs();
    const byCluster = Map.groupBy(
      [...drains].filter(({ services }) => services.length === 0),
      ({ clusterId }) => clusterId,
    );
    const wanted = new Map<ClusterId, WantedDrain>();
    for (const [clusterId, several] of byCluster) {
      const drain = strongestDrain(several);
      if (clusterId === undefined || drain === undefined) continue;
      const { percent, expiresAtMs } = drain;
      wanted.set(clusterId, {
        percent,
        remainingMs: expiresAtMs === 0 ? 0 : Math.max(1, expiresAtMs - nowMs),
      });
    }
    for (const clusterId of target.apply(wanted, () => allKnown)) {
      const { percent, remainingMs } = wanted.get(clusterId) ?? { percent: 0, remainingMs: 0 };
      log.info("Drain of a cluster is applied", { clusterId, percent, remainingMs });
    }
  }

  function replanServices(drains: Iterable<DrainRecord>): void {
    const before = byService;
    byService = percentsByService(drains);
    const changed = [...new Set([...before.keys(), ...byService.keys()])].filter(
      (service) => !samePercents(before.get(service), byService.get(service)),
    );
    if (changed.length > 0) options.replan(changed);
  }

  async function keepReviewing(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const rung = new AbortController();
      wake = () => rung.abort();
      review();
      await pause(clock, waitMs(), AbortSignal.any([signal, rung.signal]));
    }
  }

  /** To the next end, by the wall clock. */
  function waitMs(): number {
    const nowMs = clock.nowMs();
    const ends = [...inForce.entries()].flatMap(([, { expiresAtMs }]) =>
      expiresAtMs === 0 ? [] : [expiresAtMs - nowMs],
    );
    return Math.max(1, Math.min(REVIEW_MS, ...ends));
  }

  async function follow(table: Table<unknown>, signal: AbortSignal): Promise<void> {
    for await (const _ of table.changes(signal)) wake?.();
  }

  const isHeard = (): boolean =>
    own.drains.synced &&
    own.localDrains.synced &&
    peers.synced &&
    [...peers.entries()].every(([, peer]) => peer.drains.synced);

  async function known(signal: AbortSignal): Promise<void> {
    let sinceMs: number | undefined;
    while (!signal.aborted && !isHeard()) {
      if (own.services.synced && peers.synced) sinceMs ??= clock.monotonicMs();
      if (sinceMs !== undefined && clock.monotonicMs() - sinceMs >= HEARD_LIMIT_MS) return;
      await pause(clock, HEARD_LOOK_MS, signal);
    }
  }

  return {
    inForce,
    percentOf: (service, cluster) => byService.get(service)?.get(cluster) ?? 0,
    known: async (signal) => {
      await known(signal);
      // Whoever waits for this plans next, and must find them applied.
      if (!signal.aborted) review();
    },
    async run(signal) {
      await Promise.all([
        keepReviewing(signal),
        follow(own.drains, signal),
        follow(own.localDrains, signal),
        followPeers(
          peers,
          { run: (peer, inner) => follow(peer.drains, inner), onGone: () => wake?.() },
          signal,
        ),
        known(signal).then(() => {
          allKnown = !signal.aborted;
          inForce.markSynced();
          wake?.();
        }),
      ]);
    },
  };
}

function samePercents(
  a: ReadonlyMap<string, number> | undefined,
  b: ReadonlyMap<string, number> | undefined,
): boolean {
  if (a?.size !== b?.size) return false;
  return [...(a ?? [])].every(([cluster, percent]) => b?.get(cluster) === percent);
}

/** Whichever signal ends it, the loop's own check decides. */
async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  }
}
