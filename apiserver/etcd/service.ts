// The cluster's etcd, embedded or given: how to reach it as its admin, how to keep it running,
// what to tell about it.
import { connect } from "node:net";
import type { ClusterPaths, ClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";
import { pkiPaths } from "../../pki/files.ts";
import { meshServerName } from "../../pki/common-names.ts";
import type { Hold } from "../drill/hold.ts";
import type { EtcdStatus } from "../api/status.ts";
import type { ApiserverConfig } from "../config.ts";
import { embeddedEtcdPaths } from "./arguments.ts";
import { createEmbeddedEtcd } from "./embedded.ts";

/** etcd begins to listen within some 100 ms of its start. */
const LISTENING_CHECK_MS = 25;

export interface EtcdServiceOptions {
  readonly config: ApiserverConfig;
  readonly profile: ClusterProfile;
  readonly paths: ClusterPaths;
  /** While a drill holds it, an embedded etcd is not started again. */
  readonly hold?: Pick<Hold, "active" | "over"> | undefined;
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
  /** Resolves when something listens where etcd should; who asks sooner only fills the log. */
  listening(signal: AbortSignal): Promise<void>;
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
    return {
      connection,
      listening: () => Promise.resolve(),
      run: untilAborted,
      status: () => ({ ...status, lastError: "" }),
    };
  }
  const embedded = createEmbeddedEtcd({
    cluster: profile.name,
    listen: etcd.listen,
    keepRunning: etcd.keepRunning,
    hold: options.hold,
    paths: embeddedEtcdPaths(paths),
    pki,
    clock,
    random,
    log,
  });
  return {
    connection,
    async listening(signal) {
      while (!(await accepts(etcd.listen))) await clock.sleep(LISTENING_CHECK_MS, signal);
    },
    run: (signal) => embedded.run(signal),
    status: () => ({ mode: etcd.mode, endpoints, ...embedded.status() }),
  };
}

function accepts(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname.replace(/^\[(.*)\]$/, "$1"));
    const end = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
