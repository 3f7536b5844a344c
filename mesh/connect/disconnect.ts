// Taking two clusters apart: first what it would break, then removal on every side that can be
// reached. A peer that is gone keeps nobody from cleaning the own side.
import { MeshError, isMeshError } from "../core/errors.ts";
import { runUndoable } from "./apply.ts";
import type { ClusterAccess, ServiceLoss } from "./cluster-access.ts";
import { withLocks } from "./connect.ts";

export interface Side {
  readonly access: ClusterAccess;
  /** The cluster's own name. */
  readonly cluster: string;
}

/** What one side would lose. */
export interface SideLosses {
  readonly cluster: string;
  readonly losses: readonly ServiceLoss[];
  /** Why it is not known, if it is not (its etcd does not answer). */
  readonly unknown: string | undefined;
}

export interface DisconnectResult {
  readonly outcome: "refused" | "planned" | "disconnected";
  readonly cluster: string;
  readonly peer: string;
  /** Names of the clusters whose side was (or would be) cleaned. */
  readonly sides: readonly string[];
  readonly losses: readonly SideLosses[];
}

export interface DisconnectOptions {
  /** The peer's name, also when there is no way in to it. */
  readonly peer: string;
  readonly peerSide: Side | undefined;
  /** Also when services lose their last backends. */
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly onLosses: (losses: readonly SideLosses[]) => void;
  readonly signal: AbortSignal;
}

export async function disconnectClusters(
  own: Side,
  options: DisconnectOptions,
): Promise<DisconnectResult> {
  const { peer, peerSide, signal } = options;
  if (own.cluster === peer) {
    throw new MeshError(
      "invalid_argument",
      `Cannot disconnect cluster "${peer}" from itself: name two different clusters`,
    );
  }
  // With a way in to both sides, disconnecting again is harmless; without, the name is a guess.
  if (peerSide === undefined && !(await own.access.knowsPeer(peer))) {
    throw new MeshError(
      "not_found",
      `Cannot disconnect "${peer}": "${own.cluster}" is not connected with it`,
      { hint: "`mesh status` shows the peers of each cluster" },
    );
  }
  const removals = [
    { side: own, other: peer },
    ...(peerSide === undefined ? [] : [{ side: peerSide, other: own.cluster }]),
  ];
  const losses = await Promise.all(
    removals.map(({ side, other }) => readSideLosses(side, other, signal)),
  );
  options.onLosses(losses);
  const result = {
    cluster: own.cluster,
    peer,
    sides: removals.map(({ side }) => side.cluster),
    losses,
  };
  if (!options.force && losses.some(breaksService)) return { ...result, outcome: "refused" };
  if (options.dryRun) return { ...result, outcome: "planned" };
  await withLocks(
    removals.map(({ side }) => side.access),
    signal,
    () =>
      runUndoable(async (undo) => {
        for (const { side, other } of removals) {
          undo.remember(await side.access.rememberPeer(other));
          // First our reading stops, then the peer's access is taken: never the other way round,
          // which would look like a failure to whoever reads.
          await side.access.removePeer(other);
        }
        for (const { side, other } of removals) await side.access.expelReader(other);
      }),
  );
  return { ...result, outcome: "disconnected" };
}

/** Whether a service would be left without any backend. */
export function breaksService({ losses }: SideLosses): boolean {
  return losses.some(({ remainingBackends }) => remainingBackends === 0);
}

async function readSideLosses(side: Side, peer: string, signal: AbortSignal): Promise<SideLosses> {
  try {
    const losses = await side.access.readLosses(peer, signal);
    return { cluster: side.cluster, losses, unknown: undefined };
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    const unknown = error instanceof Error ? error.message : String(error);
    return { cluster: side.cluster, losses: [], unknown };
  }
}
