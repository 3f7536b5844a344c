// The first minutes of an etcd without data. It knows no users yet, so whoever holds any
// certificate of the cluster's authority, peers among them, could write to it. Therefore it first
// listens on a unix socket that only root can reach, gets its users there, and is put on the
// network after authentication is on.
import { readFile } from "node:fs/promises";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { applyAuth } from "../../mesh/kvstore/etcd-auth.ts";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { FOUNDING_SOCKET, type EmbeddedEtcdPaths } from "./arguments.ts";

export interface FoundingOptions {
  readonly cluster: string;
  readonly paths: Pick<EmbeddedEtcdPaths, "founded">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** A new etcd answers within a second; a slow disk may take many times that. */
const ANSWER_LIMIT_MS = 30_000;
const LOOK_MS = 25;

/** Whether the data that carries this token has been given its users. */
export async function isFounded(
  paths: Pick<EmbeddedEtcdPaths, "founded">,
  token: string,
): Promise<boolean> {
  const text = await readFile(paths.founded, "utf8").catch(() => ""); // Not founded yet.
  return text.trim() === token;
}

/** Gives the etcd with this pid, which listens on the founding socket, its users. */
export async function foundEtcd(
  etcd: { readonly pid: number; readonly token: string },
  options: FoundingOptions,
): Promise<void> {
  const { cluster, paths, clock, random, log } = options;
  // By way of its working directory: a socket's path may have 107 bytes, a directory's many more.
  const endpoint = `unix:/proc/${etcd.pid}/cwd/${FOUNDING_SOCKET}`;
  const connection = { endpoints: [endpoint], tls: undefined, serverName: undefined };
  const deadlineMs = clock.monotonicMs() + ANSWER_LIMIT_MS;
  const never = new AbortController().signal;
  for (;;) {
    try {
      await applyAuth({ ...connection, cluster, remotes: [], clock, random, log }, never);
      break;
    } catch (error) {
      // Without a certificate only an etcd that has its users already refuses us.
      if (isRefusal(error)) break;
      if (!isMeshError(error, "unavailable") || clock.monotonicMs() > deadlineMs) throw error;
      await clock.sleep(LOOK_MS, never);
    }
  }
  await writeFileAtomic(paths.founded, `${etcd.token}\n`, { mode: SECRET_FILE_MODE });
}

function isRefusal(error: unknown): boolean {
  return (
    isMeshError(error, "permission_denied") ||
    isMeshError(error, "unauthenticated") ||
    isMeshError(error, "invalid_argument") // "user name is empty"
  );
}
