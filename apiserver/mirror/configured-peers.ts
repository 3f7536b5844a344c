// Tells our own agents which peers are configured, reached or not, under `tombolo/local/peers`: an
// agent takes a cluster that its etcd does not describe for removed only if it is not among them.
// Ids are remembered in a file, because an emptied etcd forgets them while the peer is away.
import { readFile } from "node:fs/promises";
import { parseClusterName, type ClusterId } from "../../mesh/core/cluster.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import { runTasks } from "../../mesh/core/tasks.ts";
import { configuredPeersPrefix, configuredPeersSyncedKey } from "../../mesh/kvstore/keys.ts";
import {
  configuredPeerName,
  encodeConfiguredPeer,
  parseConfiguredPeer,
  type ConfiguredPeer,
} from "../../mesh/kvstore/records/peers.ts";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { bufferTable } from "../export/desired.ts";
import { createKindWriter, type WriterOptions } from "../kind-writer.ts";
import type { ClusterIds } from "./cluster-ids.ts";

export interface ConfiguredPeersOptions extends Omit<WriterOptions, "desired"> {
  /** Our own cluster. */
  readonly cluster: string;
  /** Where ids are remembered. */
  readonly path: string;
  readonly clusterIds: ClusterIds;
}

export interface ConfiguredPeers {
  /** Reserves remembered ids for those of `names` that hold none; what etcd knows comes first. */
  restore(names: Iterable<string>): Promise<void>;
  /** These and no others. The first call makes the list one that may be believed. */
  configure(names: Iterable<string>): void;
  reapply(keys: readonly string[]): void;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createConfiguredPeers(options: ConfiguredPeersOptions): ConfiguredPeers {
  const { cluster, path, clusterIds, log } = options;
  const prefix = configuredPeersPrefix(cluster);
  const desired = bufferTable("local/peers");
  const writer = createKindWriter({
    ...options,
    desired,
    prefix,
    canaryKey: configuredPeersSyncedKey(cluster),
  });
  let configured: ReadonlySet<string> = new Set();

  const peerOf = (name: string): ConfiguredPeer => ({ name, id: clusterIds.held.get(name) });

  function plan(name: string): void {
    if (configured.has(name)) desired.put(prefix + name, encodeConfiguredPeer(peerOf(name)));
    else desired.delete(prefix + name);
  }

  async function followIds(signal: AbortSignal): Promise<void> {
    for await (const names of clusterIds.held.changes(signal)) for (const name of names) plan(name);
  }

  async function remember(signal: AbortSignal): Promise<void> {
    for await (const _ of desired.changes(signal)) {
      if (!desired.synced) continue;
      const peers = [...configured].map(peerOf);
      try {
        await writeFileAtomic(path, `${JSON.stringify(peers)}\n`, { mode: SECRET_FILE_MODE });
      } catch (error) {
        log.error("Ids of peers cannot be remembered", { reason: messageFromError(error) });
      }
    }
  }

  return {
    async restore(names) {
      const remembered = await readRemembered(path).catch((error: unknown) => {
        log.error("Remembered ids of peers are not used", { reason: messageFromError(error) });
        return new Map<string, ClusterId>();
      });
      for (const name of names) {
        const id = remembered.get(name);
        if (id !== undefined && clusterIds.held.get(name) === undefined) {
          clusterIds.reserve(id, name);
        }
      }
    },
    configure(names) {
      const before = configured;
      configured = new Set([...names].filter(isClusterName));
      for (const name of new Set([...before, ...configured])) plan(name);
      desired.markSynced();
    },
    reapply: (keys) => writer.reapply(keys),
    run: (signal) =>
      runTasks(
        [
          { name: "write peers", run: (inner) => writer.run(inner) },
          { name: "ids of peers", run: followIds },
          { name: "remember peers", run: remember },
        ],
        signal,
      ),
  };
}

/** By name; empty if there is no file. Throws for one that is broken. */
async function readRemembered(path: string): Promise<ReadonlyMap<string, ClusterId>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw error;
  }
  const ids = new Map<string, ClusterId>();
  for (const item of JSON.parse(text) as readonly ConfiguredPeer[]) {
    const name = configuredPeerName(item);
    const { id } = parseConfiguredPeer(name, encodeConfiguredPeer(item));
    if (id !== undefined) ids.set(name, id);
  }
  return ids;
}

/** A file of another name is a problem of its own; no cluster can be called that. */
function isClusterName(name: string): boolean {
  try {
    parseClusterName(name);
    return true;
  } catch {
    return false;
  }
}
