// Taking a removed peer out of our etcd, in the order that its readers rely on (reference §5.1):
// the config first, which tells agents that the removal is meant; after a grace the canaries,
// which vouch for the rest; then the rest. May be repeated from the start at any point.
import type { Clock } from "../../mesh/core/clock.ts";
import {
  cachedDrainsPrefix,
  cacheWatchPrefix,
  clusterConfigKey,
  EXPORTED_KINDS,
  syncedWatchPrefix,
} from "../../mesh/kvstore/keys.ts";
import type { WritableStore } from "../../mesh/kvstore/store.ts";
import { cachedVersionKey } from "./peer.ts";

/**
 * Between the config and the rest. The removal was an operator's wish, so agents need time to see
 * the first before the second, and no more.
 */
export const EXPLICIT_REMOVAL_GRACE_MS = 3_000;

export async function removeCachedPeer(
  name: string,
  options: { store: WritableStore; clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const { store, clock } = options;
  await store.commit([{ kind: "delete", key: clusterConfigKey(name) }], signal);
  await clock.sleep(EXPLICIT_REMOVAL_GRACE_MS, signal);
  await store.deletePrefix(syncedWatchPrefix(name), signal);
  for (const kind of EXPORTED_KINDS) {
    await store.deletePrefix(cacheWatchPrefix(kind, name), signal);
  }
  await store.deletePrefix(cachedDrainsPrefix(name), signal);
  await store.commit([{ kind: "delete", key: cachedVersionKey(name) }], signal);
}
