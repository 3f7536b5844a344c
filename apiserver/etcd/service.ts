// The cluster's etcd, embedded or given: how to reach it as its admin, how to keep it running,
// what to tell about it.
import type { ClusterPaths, ClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";
import { pkiPaths } from "../../pki/files.ts";
import { meshServerName } from "../../pki/issue.ts";
import type { EtcdStatus } from "../api/status.ts";
import type { ApiserverConfig } from "../config.ts";
import { embeddedEtcdPaths } from "./arguments.ts";
import { createEmbeddedEtcd } from "./embedded.ts";

export interface EtcdServiceOptions {
  readonly config: ApiserverConfig;
  readonly profile: ClusterProfile;
  readonly paths: ClusterPaths;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface EtcdService {
  readonly connection: {
    readonly endpoints: readonly string[];
    readonly tls: TlsFiles;
    readonly serverName: string;
  };
  /** Resolves when the signal aborts and, if it is embedded, etcd is stopped. */
  run(signal: AbortSignal): Promise<void>;
  status(): Omit<EtcdStatus, "writable" | "usersProblem">;
}

export function createEtcdService(options: EtcdServiceOptions): EtcdService {
  const { config, profile, paths, clock, random, log } = options;
  const { etcd } = config;
  const pki = pkiPaths(paths.pki);
  const endpoints = etcd.mode === "embedded" ? [etcd.listen] : etcd.endpoints;
  const connection = {
    endpoints,
    tls: { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey },
    serverName: meshServerName(profile.name),
  };
  if (etcd.mode === "external") {
    const status = { mode: etcd.mode, state: "external", endpoints, pid: 0, restarts: 0 };
    return { connection, run: untilAborted, status: () => ({ ...status, lastError: "" }) };
  }
  const embedded = createEmbeddedEtcd({
    listen: etcd.listen,
    keepRunning: etcd.keepRunning,
    paths: embeddedEtcdPaths(paths),
    pki,
    clock,
    random,
    log,
  });
  return {
    connection,
    run: (signal) => embedded.run(signal),
    status: () => ({ mode: etcd.mode, endpoints, ...embedded.status() }),
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
