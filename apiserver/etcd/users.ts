// Users and roles of our etcd, kept as remote-users.yaml says which peers may read us. The file
// is watched; while it is broken, the users stay as they are.
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createBackoff } from "../../mesh/core/backoff.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import { parseRemoteUsers } from "../../mesh/connect/peer-file.ts";
import type { EtcdConnectionOptions } from "../../mesh/kvstore/etcd-connection.ts";
import { applyAuth } from "../../mesh/kvstore/etcd-auth.ts";
import { createBell, watchDirectory } from "../directory-watch.ts";

export interface EtcdUsersOptions extends EtcdConnectionOptions {
  readonly cluster: string;
  /** remote-users.yaml; absent means that no peer may read us. */
  readonly path: string;
  /** Differs when another etcd process runs: its data may be another's, without any user. */
  readonly generation: () => number;
}

export interface EtcdUsers {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Authentication is on and the users are as the file said when it was last read. */
  applied(): boolean;
  /** Why the users are not as the file says, or empty. */
  problem(): string;
}

/** Short, because a peer that was let in waits for this, and one that was put out must go. */
const RECHECK_MS = 1_000;
/** Everything is set again this often, in case somebody else has changed it. */
const REAPPLY_MS = 5 * 60_000;
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 5_000;

export function createEtcdUsers(options: EtcdUsersOptions): EtcdUsers {
  const { path, cluster, clock, log } = options;
  let current: string | undefined;
  let currentGeneration = 0;
  let appliedAtMs = -Infinity;
  let problem = "";

  async function applyOnce(signal: AbortSignal): Promise<void> {
    const remotes = parseRemoteUsers(await readIfThere(path), path);
    const wanted = remotes.toSorted().join(",");
    const generation = options.generation();
    const fresh =
      generation === currentGeneration && clock.monotonicMs() - appliedAtMs < REAPPLY_MS;
    if (wanted !== current || !fresh) {
      await applyAuth({ ...options, cluster, remotes }, signal);
      if (wanted !== current) log.info("etcd users are set", { remotes });
      current = wanted;
      currentGeneration = generation;
      appliedAtMs = clock.monotonicMs();
    }
    problem = "";
  }

  async function follow(bell: ReturnType<typeof createBell>, signal: AbortSignal): Promise<void> {
    const backoff = createBackoff({
      baseMs: RETRY_BASE_MS,
      capMs: RETRY_CAP_MS,
      random: options.random,
    });
    while (!signal.aborted) {
      try {
        await applyOnce(signal);
        backoff.reset();
        await bell.wait(RECHECK_MS, { clock, signal });
      } catch (error) {
        if (signal.aborted) return;
        problem = messageFromError(error);
        log.warn("etcd users cannot be set", { reason: problem });
        await clock.sleep(backoff.nextMs(), signal);
      }
    }
  }

  return {
    async run(signal) {
      const bell = createBell();
      const watching = watchDirectory({ directory: dirname(path), bell, clock }, signal);
      try {
        await follow(bell, signal);
      } finally {
        await watching;
      }
    },
    applied: () => current !== undefined,
    problem: () => problem,
  };
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
