// Which clusters a planner speaks for completely, so that what a target holds of them beyond the
// plan may be removed. A cluster settles when the planner has worked through its first full sync.
//
//   listed ──settle──▶ settled          own cluster and connected ones
//   listed ──gone────▶ gone             its config was deleted while we watched: drained at once
//   never listed ─────▶ absent          believed only when our own apiserver has told which peers
//                                       are configured, and this is none of them: an etcd that
//                                       was emptied describes no peer that cannot be reached
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import { createTable, tableSynced, type Table } from "../../mesh/core/table.ts";
import type { Intent, PeerIntent } from "../intent/intent.ts";

/** The read side: what operations ask before they remove. */
export interface Settlement {
  mayPrune(clusterId: ClusterId): boolean;
  /** For what does not say whose it is: everyone has spoken, and nobody else is expected. */
  mayPruneAll(): boolean;
  /** Connected clusters that have not settled, ascending. */
  unsettled(): readonly ClusterId[];
  /** A row for every cluster whose answer changed; its feed says when to prune again. */
  readonly changed: Table<number>;
}

export interface SettlementTracker extends Settlement {
  list(clusterId: ClusterId): void;
  settle(clusterId: ClusterId): void;
  gone(clusterId: ClusterId): void;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface SettlementOptions {
  readonly intent: Intent;
  readonly clock: Clock;
  /** Called when everything known has settled, or PEER_SETTLE_LIMIT_MS after the own cluster has. */
  readonly onReady: () => void;
}

/** A peer that never syncs must not keep leftovers of the others for ever (reference §5.3: 1 min). */
export const PEER_SETTLE_LIMIT_MS = 60_000;

export function createSettlement(options: SettlementOptions): SettlementTracker {
  const { intent, clock, onReady } = options;
  const { configuredPeers } = intent.own;
  const ownClusterId = intent.own.cluster.id;
  const state = new Map<ClusterId, "listed" | "settled" | "gone">([[ownClusterId, "listed"]]);
  const changed = createTable<number>({ name: "settlement" });
  const ownSettled = Promise.withResolvers<void>();
  let generation = 0;

  const unsettled = (): ClusterId[] =>
    [...state].flatMap(([id, value]) => (value === "listed" ? [id] : [])).sort((a, b) => a - b);

  function set(clusterId: ClusterId, value: "listed" | "settled" | "gone"): void {
    if (state.get(clusterId) === value) return;
    state.set(clusterId, value);
    changed.put(String(clusterId), ++generation);
    if (state.get(ownClusterId) !== "settled") return;
    ownSettled.resolve();
    if (unsettled().length === 0) onReady();
  }

  /** A configured peer of unknown id may be any cluster that is not connected. */
  function isAbsent(clusterId: ClusterId): boolean {
    if (!configuredPeers.synced || !intent.peers.synced) return false;
    for (const [name, { id }] of configuredPeers.entries()) {
      if (intent.peers.get(name) === undefined && (id ?? clusterId) === clusterId) return false;
    }
    return true;
  }

  async function announceAbsence(signal: AbortSignal): Promise<void> {
    for await (const _ of configuredPeers.changes(signal)) changed.put("absent", ++generation);
  }

  async function limitWait(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    if (signal.aborted) return;
    await Promise.race([ownSettled.promise, aborted.promise]);
    if (signal.aborted) return;
    try {
      await clock.sleep(PEER_SETTLE_LIMIT_MS, signal);
      onReady();
    } catch (error) {
      if (!isMeshError(error, "aborted")) throw error;
    }
  }

  return {
    changed,
    unsettled,
    mayPrune(clusterId) {
      const value = state.get(clusterId);
      return value === undefined ? isAbsent(clusterId) : value !== "listed";
    },
    mayPruneAll: () =>
      unsettled().length === 0 &&
      configuredPeers.synced &&
      intent.peers.synced &&
      [...configuredPeers.entries()].every(([name]) => intent.peers.get(name) !== undefined),
    list: (clusterId) => set(clusterId, "listed"),
    settle: (clusterId) => set(clusterId, "settled"),
    gone: (clusterId) => set(clusterId, "gone"),
    async run(signal) {
      await Promise.all([announceAbsence(signal), limitWait(signal)]);
    },
  };
}

/** Waits for the list of connected clusters, so that none of them settles as absent. */
export async function listConnected(
  known: { readonly settlement: SettlementTracker; readonly peers: Table<PeerIntent> },
  signal: AbortSignal,
): Promise<void> {
  await tableSynced(known.peers, signal);
  for (const [, peer] of known.peers.entries()) known.settlement.list(peer.cluster.id);
}
