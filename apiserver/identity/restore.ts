// Which numbers were given out before: what our own etcd still exports, then the snapshot, then
// what is kept outside of the cluster directory.
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { localIdentitiesPrefix, stateWatchPrefix } from "../../mesh/kvstore/keys.ts";
import { parseIdentity, type IdentityRecord } from "../../mesh/kvstore/records/identity.ts";
import type { ReadableStore } from "../../mesh/kvstore/store.ts";
import type { AllocatorState, IdentityAllocator } from "./allocator.ts";
import { readIdentitySnapshot } from "./snapshot.ts";

export interface RestoreOptions {
  readonly cluster: ClusterIdentity;
  readonly store: ReadableStore;
  readonly snapshotPath: string;
  readonly allocator: IdentityAllocator;
  /** Where identities outlive the directory; a new directory waits for it. */
  readonly kept?: {
    read(cluster: ClusterIdentity, signal: AbortSignal): Promise<AllocatorState>;
  };
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 2_000;

/** Waits for etcd as long as it takes: numbers given out without it might be others' already. */
export async function restoreIdentities(
  options: RestoreOptions,
  signal: AbortSignal,
): Promise<void> {
  const { allocator, clock, random, log } = options;
  const backoff = createBackoff({ baseMs: RETRY_BASE_MS, capMs: RETRY_CAP_MS, random });
  for (;;) {
    try {
      const identities = await exportedIdentities(options, signal);
      const snapshot = await readSnapshot(options);
      const kept = await readKept(options, { isNew: snapshot === undefined }, signal);
      // The snapshot's is newer, and 0 is taken for nothing.
      allocator.restore({ next: snapshot?.next ?? kept?.next ?? 0, identities, retired: [] });
      if (snapshot !== undefined) allocator.restore(snapshot);
      if (kept !== undefined) allocator.restore({ ...kept, next: 0 });
      log.info("Identities are restored", { count: allocator.counts().inUse });
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      log.warn("Identities cannot be restored yet", { reason: messageFromError(error) });
      await clock.sleep(backoff.nextMs(), signal);
    }
  }
}

async function exportedIdentities(
  { store, cluster }: RestoreOptions,
  signal: AbortSignal,
): Promise<IdentityRecord[]> {
  const identities = new Map<number, IdentityRecord>();
  // The second holds all of them, and is not there in an etcd that an older version has written.
  const prefixes = [
    stateWatchPrefix("identities", cluster.name),
    localIdentitiesPrefix(cluster.name),
  ];
  for (const prefix of prefixes) {
    for await (const page of store.list(prefix, signal)) {
      for (const { key, value } of page) {
        const identity = parseOrNothing(() =>
          parseIdentity(key.slice(prefix.length), value, cluster),
        );
        if (identity !== undefined) identities.set(identity.number, identity);
      }
    }
  }
  return [...identities.values()];
}

/** A key that is none of ours is pruned by the exporter. */
function parseOrNothing<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

/** A broken snapshot is told and done without: etcd is the better source, and it is written anew. */
async function readSnapshot({ snapshotPath, log }: RestoreOptions) {
  try {
    return await readIdentitySnapshot(snapshotPath);
  } catch (error) {
    log.error("Identity snapshot is not used", { reason: messageFromError(error) });
    return undefined;
  }
}

/** The snapshot of an existing directory has all of it: nobody waits for more. */
async function readKept(
  { kept, cluster, log }: RestoreOptions,
  { isNew }: { readonly isNew: boolean },
  signal: AbortSignal,
): Promise<AllocatorState | undefined> {
  try {
    return await kept?.read(cluster, signal);
  } catch (error) {
    if (isNew || signal.aborted) throw error;
    log.warn("Kept identities are not read; the snapshot is used", {
      reason: messageFromError(error),
    });
    return undefined;
  }
}
