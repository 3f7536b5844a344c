// The apiserver's half of the operations plane: nats-server has the configuration that peers and
// certificates ask for, the streams are there, and a connection carries the apiserver's own words.
// Nothing here ends or holds up the apiserver: what fails is told in status and tried again.
//
//   peers/ ─┐
//   pki/  ──┼─► render ─► directory ─► nats-server (our child, or in a container beside us)
//   records ┘                             ▲  ensure streams, publish, answer, ask how it is
//                                         └─ connection (admin certificate)
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  encodeOperationsPlace,
  operationsPlacePath,
} from "../../mesh/connect/operations-access.ts";
import type { ClusterPaths, ClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import { createNatsConnection } from "../../mesh/operations/nats-connection.ts";
import { STREAMS } from "../../mesh/operations/streams.ts";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { adminCommonName, meshServerName } from "../../pki/common-names.ts";
import { pkiPaths } from "../../pki/files.ts";
import type { Hold } from "../drill/hold.ts";
import { readPeerDirectory } from "../mirror/peer-directory.ts";
import { natsPaths, readNatsDirectory, writeNatsDirectory } from "./directory.ts";
import { readNatsReport, type NatsReport } from "./monitor.ts";
import { splitPlace, type OperationsConfig } from "./operations-config.ts";
import { readLinkedPeers } from "./peers.ts";
import { dialledEndpoints, renderNatsConfig } from "./render-config.ts";
import { createNatsServer } from "./server.ts";

export interface OperationsPlaneOptions {
  readonly config: OperationsConfig;
  readonly profile: ClusterProfile;
  readonly paths: ClusterPaths;
  /** Where a peer's nats-server is, as its own record says; empty while that is not known. */
  readonly leafEndpoints: (peer: string) => readonly string[];
  /** Resolves when the peers directory names every peer: each one more may be another start. */
  readonly peersWhole: (signal: AbortSignal) => Promise<void>;
  /** While a drill holds it, an embedded nats-server is not started again. */
  readonly hold?: Pick<Hold, "active" | "over"> | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface OperationsPlane {
  readonly connection: OperationsConnection;
  readonly tasks: readonly Task[];
  status(): OperationsPlaneStatus;
}

export interface OperationsPlaneStatus {
  /** "running", "adopted", "backing-off", "starting", "stopped"; "beside" for a container's. */
  readonly server: string;
  readonly pid: number;
  readonly restarts: number;
  readonly connected: boolean;
  readonly streams: NatsReport["streams"];
  /** Every peer, and whether the link to it stands. */
  readonly links: readonly { readonly peer: string; readonly up: boolean }[];
  readonly waiting: number;
  readonly dropped: number;
  readonly problem: string;
}

/** How soon a peer that came or went, or another certificate, is in the configuration. */
const LOOK_MS = 1_000;
const REPORT_MS = 2_000;

/** Where peers' servers reach ours: at the addresses of our etcd. */
export function leafEndpointsOf(profile: ClusterProfile, config: OperationsConfig): string[] {
  const port = splitPlace(config.leafListen)?.port ?? 0;
  const hosts = profile.etcdEndpoints.map((endpoint) => new URL(endpoint).hostname);
  // nats-server knows a peer by its address; names are for peers' etcd alone.
  return hosts.map((host) => `${host}:${port}`).filter((place) => splitPlace(place) !== undefined);
}

export function createOperationsPlane(options: OperationsPlaneOptions): OperationsPlane {
  const { config, profile, paths, clock, log } = options;
  const pki = pkiPaths(paths.pki);
  const directory = config.directory ?? join(paths.run, "nats");
  const server =
    config.mode === "embedded" ? createNatsServer({ ...options, ...config, directory }) : undefined;
  const connection = createNatsConnection({
    ...options,
    name: adminCommonName(profile.name),
    servers: () => [localPlace(config.listen)],
    tls: { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey },
    serverName: meshServerName(profile.name),
  });
  let peers: readonly string[] = [];
  let report: NatsReport | undefined;
  let configProblem = "";
  let streamsProblem = "";

  async function writeConfig(): Promise<void> {
    const entries = await readPeerDirectory(paths.peers);
    if (entries === undefined) return; // Nothing is known, least of all that a peer has gone.
    const before = (await readNatsDirectory(directory))?.config;
    const remembered = before === undefined ? undefined : dialledEndpoints(before);
    const linked = await readLinkedPeers({
      cluster: profile.name,
      entries: entries.values(),
      leafEndpoints: (peer) => {
        const told = options.leafEndpoints(peer);
        // After a start of the apiserver nothing is known yet, and a link that stands shall stay.
        return told.length === 0 ? (remembered?.get(peer) ?? []) : told;
      },
    });
    peers = [...entries.keys()].filter((name) => name !== profile.name);
    const place = natsPaths(directory);
    const text = renderNatsConfig({
      cluster: profile.name,
      listen: config.listen,
      leafListen: config.leafListen,
      monitorListen: config.monitorListen,
      storeDirectory: place.data,
      pidFile: join(directory, "nats.pid"),
      logFile: place.log,
      tls: place.tls,
      acceptQuestions: config.acceptDrillsFrom === "peers",
      peers: linked.map(({ name, dial }) => ({
        name,
        dial: dial && { endpoints: dial.endpoints, tls: place.peer(name) },
      })),
    });
    const [caBundle = "", certificate = "", key = ""] = await Promise.all(
      [pki.caBundle, pki.serverCertificate, pki.serverKey].map((path) => readFile(path, "utf8")),
    );
    await writeNatsDirectory(directory, {
      config: text,
      tls: { caBundle, certificate, key },
      peers: new Map(linked.flatMap(({ name, dial }) => (dial ? [[name, dial.tls]] : []))),
    });
  }

  async function followConfig(signal: AbortSignal): Promise<void> {
    await tellPlace();
    await options.peersWhole(signal);
    while (!signal.aborted) {
      configProblem = await problemOf(writeConfig());
      await clock.sleep(LOOK_MS, signal).catch(() => {}); // Aborted: the loop ends.
    }
  }

  async function tellPlace(): Promise<void> {
    const place = { cluster: profile.name, servers: [localPlace(config.listen)] };
    const path = operationsPlacePath(paths.root);
    await writeFileAtomic(path, encodeOperationsPlace(place), { mode: SECRET_FILE_MODE });
  }

  /** With every connection anew: the server behind it may have lost its data. */
  async function keepStreams(signal: AbortSignal): Promise<void> {
    let madeFor = -1;
    while (!signal.aborted) {
      const { state, lost } = connection.status();
      if (state === "connected" && madeFor !== lost) {
        streamsProblem = await problemOf(
          Promise.all(STREAMS.map((stream) => connection.ensureStream(stream, signal))),
        );
        if (streamsProblem === "") madeFor = lost;
      }
      await clock.sleep(LOOK_MS / 4, signal).catch(() => {}); // Aborted: the loop ends.
    }
  }

  async function keepReport(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      report = await readNatsReport(localPlace(config.monitorListen), { clock, signal }).catch(
        () => undefined, // It does not run; status says so in its own words.
      );
      await clock.sleep(REPORT_MS, signal).catch(() => {}); // Aborted: the loop ends.
    }
  }

  return {
    connection,
    tasks: [
      { name: "nats configuration", run: followConfig },
      ...(server === undefined
        ? []
        : [{ name: "nats-server", run: (signal: AbortSignal) => keepServer(server, signal) }]),
      { name: "operations connection", run: (signal) => connection.run(signal) },
      { name: "streams", run: keepStreams },
      { name: "operations report", run: keepReport },
    ],
    status() {
      const daemon = server?.status() ?? { state: "beside", pid: 0, restarts: 0, lastError: "" };
      const { state, lastError, waiting, dropped } = connection.status();
      const up = new Set(report?.links);
      // The last failure of a server that runs again is history.
      const failure = daemon.state === "backing-off" ? daemon.lastError : "";
      return {
        server: daemon.state,
        pid: daemon.pid,
        restarts: daemon.restarts,
        connected: state === "connected",
        streams: report?.streams ?? [],
        links: peers.map((peer) => ({ peer, up: up.has(peer) })),
        waiting,
        dropped,
        problem: configProblem || failure || lastError || streamsProblem,
      };
    },
  };

  /** A directory that cannot be written takes the operations plane away, not the apiserver. */
  async function keepServer(
    kept: { run(signal: AbortSignal): Promise<void> },
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      const problem = await problemOf(kept.run(signal));
      if (problem === "" || signal.aborted) continue;
      log.error("nats-server cannot be kept running", { reason: problem });
      await clock.sleep(REPORT_MS, signal).catch(() => {}); // Aborted: the loop ends.
    }
  }
}

/** How we reach what listens there: any address means this machine. */
function localPlace(listen: string): string {
  return listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
}

async function problemOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    return isMeshError(error, "aborted") ? "" : messageFromError(error);
  }
}
