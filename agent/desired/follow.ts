// How planners read intent: one table as batches of keys in bounded steps, and the connected
// clusters as tasks that live as long as the cluster is connected.
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { PeerIntent } from "../intent/intent.ts";

/** Keys planned before other work gets a turn: some 20 ms of planning. */
const KEYS_PER_TURN = 4_096;

export interface TableFollower {
  /** Plan this key again; looks up what it is now. */
  readonly onKey: (key: string) => void;
  /** Everything that the synced table held has been planned. Called once. */
  readonly onSynced: () => void;
}

/** Resolves when the signal aborts. */
export async function followTable<T>(
  table: Table<T>,
  follower: TableFollower & { readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  let synced = false;
  for await (const keys of table.changes(signal)) {
    // Read before planning: what arrives meanwhile is in a later batch.
    const syncedBefore = table.synced;
    let planned = 0;
    for (const key of keys) {
      follower.onKey(key);
      if (++planned % KEYS_PER_TURN === 0 && !(await yieldTurn(follower.clock, signal))) return;
    }
    if (syncedBefore && !synced) {
      synced = true;
      follower.onSynced();
    }
  }
}

export interface PeerFollower {
  /** Follow one connected cluster; resolves when its signal aborts. */
  readonly run: (peer: PeerIntent, signal: AbortSignal) => Promise<void>;
  /** The cluster is no longer connected and its task has ended. */
  readonly onGone: (peer: PeerIntent) => void;
}

/** Resolves when the signal aborts; rejects when following a cluster fails. */
export async function followPeers(
  peers: Table<PeerIntent>,
  follower: PeerFollower,
  signal: AbortSignal,
): Promise<void> {
  const running = new Map<
    string,
    { peer: PeerIntent; end: AbortController; done: Promise<void> }
  >();
  const failed = new AbortController();
  const all = AbortSignal.any([signal, failed.signal]);
  for await (const names of peers.changes(all)) {
    for (const name of names) {
      const current = running.get(name);
      const peer = peers.get(name);
      if (current?.peer === peer) continue;
      if (current !== undefined) {
        current.end.abort();
        await current.done;
        running.delete(name);
        follower.onGone(current.peer);
      }
      if (peer !== undefined) {
        const end = new AbortController();
        const done = follower
          .run(peer, AbortSignal.any([all, end.signal]))
          .catch((error: unknown) => failed.abort(error));
        running.set(name, { peer, end, done });
      }
    }
  }
  await Promise.all([...running.values()].map(({ done }) => done));
  if (failed.signal.aborted) throw failed.signal.reason;
}

/** Whether to go on; false when the signal was aborted. */
async function yieldTurn(clock: Clock, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(0, signal);
    return true;
  } catch (error) {
    if (isMeshError(error, "aborted")) return false;
    throw error;
  }
}
