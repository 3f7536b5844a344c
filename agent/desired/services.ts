// Keeps the desired frontends in step with intent: plans a service again when it changes in our
// cluster or in a connected one, and only that service.
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { ClusterService } from "../../mesh/core/service.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { Intent, PeerIntent } from "../intent/intent.ts";
import {
  planService,
  sameFrontend,
  type Frontend,
  type IsBackendDown,
} from "../plan/plan-service.ts";
import type { ClusterBackends, ServiceBackend } from "../plan/rank-clusters.ts";
import { createClaims } from "./claims.ts";
import { followPeers, followTable } from "./follow.ts";
import { createKeyQueue } from "./key-queue.ts";
import { createSettlement, listConnected, type Settlement } from "./settlement.ts";

/** What the datapath held of one cluster for one frontend when the agent started. */
export interface HeldGroup {
  readonly clusterId: ClusterId;
  readonly backends: readonly ServiceBackend[];
  /** See `ClusterBackends.leaving`. */
  readonly leaving?: boolean;
}

export interface ServicePlannerOptions {
  readonly intent: Intent;
  /** By frontend key; see `ServiceInputs.held`. */
  readonly held: ReadonlyMap<string, readonly HeldGroup[]>;
  readonly isDown?: IsBackendDown | undefined;
  /** How far a cluster is drained for one service alone; not at all if left out. */
  readonly drainedPercent?: ((service: string, cluster: string) => number) | undefined;
  /** Resolves when that is known; nothing is planned before. */
  readonly drainsKnown?: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly clock: Clock;
}

export interface ServicePlanner {
  readonly desired: Table<Frontend>;
  readonly settlement: Settlement;
  /** By service: what its plan leaves out and why. */
  readonly notes: ReadonlyMap<string, readonly string[]>;
  /** Plans these services (by `namespace/name`) again soon: the health of their backends changed. */
  replan(keys: Iterable<string>): void;
  /** Frontends that two services claim. */
  contested(): number;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createServicePlanner(options: ServicePlannerOptions): ServicePlanner {
  const { intent, clock } = options;
  const { own, peers } = intent;
  const claims = createClaims({
    name: "frontends",
    keyOf: (row: Frontend) => row.key,
    equals: sameFrontend,
  });
  const source = claims.source(0);
  const notes = new Map<string, readonly string[]>();
  /** Service key → cluster name → what that cluster offers. */
  const offers = new Map<string, Map<string, ClusterService>>();
  const settlement = createSettlement({
    intent,
    clock,
    onReady: () => claims.markSynced(),
  });
  const again = createKeyQueue(clock);
  let held: ReadonlyMap<string, readonly ClusterBackends[]> = new Map();

  function plan(key: string): void {
    const local = own.services.get(key);
    if (local === undefined) {
      source.claim(key, []);
      notes.delete(key);
      return;
    }
    const result = planService({
      local,
      peers: [...(offers.get(key)?.values() ?? [])],
      held,
      ...(options.isDown === undefined ? {} : { isDown: options.isDown }),
      drainedPercent: (cluster) => options.drainedPercent?.(key, cluster) ?? 0,
    });
    source.claim(key, result.frontends);
    if (result.notes.length === 0) notes.delete(key);
    else notes.set(key, result.notes);
  }

  function setOffer(key: string, cluster: string, offer: ClusterService | undefined): void {
    const known = offers.get(key) ?? new Map<string, ClusterService>();
    if (offer === undefined) known.delete(cluster);
    else known.set(cluster, offer);
    if (known.size === 0) offers.delete(key);
    else offers.set(key, known);
    plan(key);
  }

  /** A cluster that has settled speaks for itself from now on: plan what it was held for again. */
  function refreshHeld(): void {
    const before = held;
    held = heldOfUnsettled(options.held, { settlement, intent });
    if (before.size === 0) return;
    for (const [key] of own.services.entries()) plan(key);
  }

  const peerFollower = {
    run: (peer: PeerIntent, signal: AbortSignal) => {
      const { name, id } = peer.cluster;
      settlement.list(id);
      return followTable(
        peer.services,
        {
          clock,
          onKey: (key) => setOffer(key, name, peer.services.get(key)),
          onSynced: () => settlement.settle(id),
        },
        signal,
      );
    },
    onGone: (peer: PeerIntent) => {
      settlement.gone(peer.cluster.id);
      const { name } = peer.cluster;
      for (const [key, known] of offers) {
        if (known.has(name)) setOffer(key, name, undefined);
      }
    },
  };

  return {
    desired: claims.desired,
    settlement,
    notes,
    contested: () => claims.contested(),
    replan: (keys) => again.add(keys),
    async run(signal) {
      // Without the list of clusters the held backends have no names, hence no tiers.
      await listConnected({ settlement, peers }, signal);
      await options.drainsKnown?.(signal);
      if (signal.aborted) return;
      held = heldOfUnsettled(options.held, { settlement, intent });
      await Promise.all([
        settlement.run(signal),
        again.run(plan, signal),
        followPeers(peers, peerFollower, signal),
        followTable(
          own.services,
          { clock, onKey: plan, onSynced: () => settlement.settle(own.cluster.id) },
          signal,
        ),
        (async () => {
          for await (const _ of settlement.changed.changes(signal)) refreshHeld();
        })(),
      ]);
    },
  };
}

function heldOfUnsettled(
  held: ReadonlyMap<string, readonly HeldGroup[]>,
  known: { readonly settlement: Settlement; readonly intent: Intent },
): ReadonlyMap<string, readonly ClusterBackends[]> {
  const { own, peers } = known.intent;
  const names = new Map<ClusterId, string>();
  for (const [name, { id }] of own.configuredPeers.entries()) {
    if (id !== undefined) names.set(id, name);
  }
  for (const [name, peer] of peers.entries()) names.set(peer.cluster.id, name);
  const result = new Map<string, readonly ClusterBackends[]>();
  for (const [key, groups] of held) {
    const kept = groups
      .filter(({ clusterId }) => !known.settlement.mayPrune(clusterId))
      .map((group) => ({ ...group, cluster: names.get(group.clusterId) ?? "" }));
    if (kept.length > 0) result.set(key, kept);
  }
  return result;
}
