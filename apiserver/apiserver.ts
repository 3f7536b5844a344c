// The apiserver as a whole: makes its parts, joins them, and runs them as one. It decides nothing
// else; main.ts gives it a process.
//
//   origin ───► source ─► planner ─► cilium/state   (export/)      peers read it
//                  │                                                agents read it
//                  └► own claims ─► peers' records ─► cilium/cache  (mirror/)
import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createApiserverStatusServer } from "../mesh/api/apiserver-server.ts";
import { clusterPaths, type ClusterProfile } from "../mesh/contexts/cluster-directory.ts";
import type { ClusterAccess } from "../mesh/connect/cluster-access.ts";
import type { PeerStatusReader } from "../mesh/connect/cluster-facts.ts";
import { openClusterAccess, openKubernetesAccess } from "../mesh/connect/context-access.ts";
import type { InviteStore } from "../mesh/connect/invite-store.ts";
import { createJoinServer } from "../mesh/connect/join-server.ts";
import { createKubernetesInviteStore } from "../mesh/connect/kubernetes-invites.ts";
import type { Clock } from "../mesh/core/clock.ts";
import { identityRange } from "../mesh/core/identity.ts";
import type { Logger } from "../mesh/core/logger.ts";
import { runTasks, type Task } from "../mesh/core/tasks.ts";
import type { CapacityAnswer, CapacityQuestion } from "../mesh/drain/capacity.ts";
import { createEtcdStore, type EtcdStore } from "../mesh/kvstore/etcd-store.ts";
import { createEventSink } from "../mesh/operations/event-sink.ts";
import { APISERVER_NODE } from "../mesh/operations/subjects.ts";
import { initialisePki } from "../pki/files.ts";
import { meshServerName } from "../pki/common-names.ts";
import { gatherStatus, type ApiserverStatus } from "./api/status.ts";
import type { ApiserverConfig } from "./config.ts";
import { createDrillCoverage, type DrillCoverage } from "./drill/coverage.ts";
import { createApiserverDrillTask, createDrillHolds, type DrillHolds } from "./drill/drill-part.ts";
import { createEtcdService, type EtcdService } from "./etcd/service.ts";
import { createEtcdUsers } from "./etcd/users.ts";
import { createExporter } from "./export/exporter.ts";
import { createHealthServer } from "./http.ts";
import { createIdentityAllocator } from "./identity/allocator.ts";
import { restoreIdentities } from "./identity/restore.ts";
import { runIdentitySnapshot } from "./identity/snapshot.ts";
import { createMetricsPage } from "./metrics.ts";
import { createClaims } from "./mirror/claims.ts";
import { createClusterIds } from "./mirror/cluster-ids.ts";
import { createConfiguredPeers } from "./mirror/configured-peers.ts";
import { createMirrors } from "./mirror/mirrors.ts";
import { createOwnClaims } from "./mirror/own-claims.ts";
import { createOperationsPlane, leafEndpointsOf } from "./nats/plane.ts";
import { runSessionEvents } from "./nats/session-events.ts";
import type { ObjectFollower } from "./objects/object-follower.ts";
import { createDrains } from "./operations/drains.ts";
import { checkDrain, toldDrains } from "./operations/told-drains.ts";
import { createSource } from "./source/objects.ts";
import { createOrigin } from "./source/origin.ts";

export interface ApiserverOptions {
  readonly config: ApiserverConfig;
  readonly profile: ClusterProfile;
  /** Under Kubernetes, prepared. */
  readonly objects: ObjectFollower | undefined;
  readonly version: string;
  /** SIGKILL to this process, which is started again after so long; for drills. */
  readonly die?: ((ttlMs: number) => void) | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** Runs until the signal aborts; rejects when a part fails for good. */
export async function runApiserver(options: ApiserverOptions, signal: AbortSignal): Promise<void> {
  const { config, profile, clock } = options;
  const paths = clusterPaths(config.directory);
  await mkdir(paths.run, { recursive: true, mode: 0o700 });
  await mkdir(paths.manifests, { recursive: true });
  if (config.etcd.mode === "embedded") {
    await initialisePki(paths.pki, { cluster: profile.name, nowMs: clock.nowMs() });
  }
  const holds = createDrillHolds(clock);
  const etcd = createEtcdService({ ...options, paths, hold: holds.etcd });
  // etcd outlives everything that writes to it, so that the end is quiet too.
  const stopEtcd = new AbortController();
  const etcdEnded = etcd.run(stopEtcd.signal);
  try {
    const tasks = [{ name: "etcd", run: (inner: AbortSignal) => endedOr(etcdEnded, inner) }];
    const parts = {
      name: "parts",
      run: (inner: AbortSignal) => runParts({ ...options, etcd, holds }, inner),
    };
    await runTasks([...tasks, parts], signal);
  } finally {
    stopEtcd.abort();
    await etcdEnded;
  }
}

async function runParts(
  options: ApiserverOptions & { etcd: EtcdService; holds: DrillHolds },
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, log, etcd } = options;
  const store = createEtcdStore({ ...etcd.connection, clock, random, log });
  const parts = createParts({ ...options, store });
  const servers = await openServers(options, parts);
  log.info("Apiserver is up", { version: options.version, ...servers.ports });
  try {
    await runTasks([...parts.tasks, ...servers.tasks], signal);
  } finally {
    await servers.close();
    store.close();
  }
}

/** Everything that others ask us: status, health and metrics, and joins. */
async function openServers(
  options: ApiserverOptions,
  { status, checkDrain: check, checkDrills }: Omit<Parts, "tasks">,
): Promise<{
  readonly tasks: readonly Task[];
  readonly ports: Readonly<Record<string, number>>;
  close(): Promise<void>;
}> {
  const { config } = options;
  const { directory } = config;
  const metrics = createMetricsPage(status);
  const health = await createHealthServer({
    listen: config.healthListen,
    readiness: status,
    metrics: () => metrics.render(),
  });
  const statusServer = await createApiserverStatusServer({
    socketPath: clusterPaths(directory).apiserverSocket,
    getStatus: status,
    checkDrain: check,
    checkDrills,
  });
  const apiserver = { readPeers: () => Promise.resolve(status().peers) };
  const join = await createJoinServer({
    ...options,
    ...openJoinAccess(options, apiserver),
    directory,
    listen: config.joinListen,
  });
  return {
    tasks: [{ name: "join", run: (signal) => join.run(signal) }],
    ports: { health: health.port, join: join.port },
    async close() {
      statusServer.close();
      await health.close();
    },
  };
}

/** Under Kubernetes, what is admitted and installed stands in objects; the directory follows. */
function openJoinAccess(
  options: ApiserverOptions,
  apiserver: PeerStatusReader,
): { readonly access: ClusterAccess; readonly invites?: InviteStore } {
  const { config, profile, objects } = options;
  const cluster = { context: profile.name, apiserver };
  if (objects === undefined) {
    return { access: openClusterAccess({ ...cluster, directory: config.directory }, options) };
  }
  return {
    access: openKubernetesAccess({ ...cluster, ...objects.place }, options),
    invites: createKubernetesInviteStore({ ...options, ...objects.place }),
  };
}

/** Resolves when the signal aborts; rejects if `ended` settles before that. */
async function endedOr(ended: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([ended, aborted]);
}

interface Parts {
  readonly tasks: readonly Task[];
  readonly status: () => ApiserverStatus;
  readonly checkDrain: (question: CapacityQuestion) => CapacityAnswer;
  readonly checkDrills: (signal: AbortSignal) => Promise<DrillCoverage>;
}

function createParts(
  options: ApiserverOptions & { etcd: EtcdService; holds: DrillHolds; store: EtcdStore },
): Parts {
  const { config, profile, objects, version, clock, random, log, etcd, holds, store } = options;
  const cluster = {
    name: profile.name,
    id: profile.id,
    maxConnectedClusters: profile.maxConnectedClusters,
  };
  const paths = clusterPaths(config.directory);
  const startedMs = clock.monotonicMs();
  const seams = { clock, random, log };

  const source = createSource();
  const origin = createOrigin(config, { ...seams, source });
  const allocator = createIdentityAllocator({
    range: identityRange(cluster.id, cluster.maxConnectedClusters),
    nowMs: clock.nowMs,
  });
  const snapshotPath = join(paths.run, "identities.json");
  const exporter = createExporter({
    ...seams,
    cluster,
    version,
    leafEndpoints:
      config.operations === undefined ? [] : leafEndpointsOf(profile, config.operations),
    source,
    identities: allocator,
    policyScope: config.policyDefaultScope,
    store,
  });
  const claims = createClaims();
  const ownClaims = createOwnClaims({ cluster: cluster.name, source, claims });
  const clusterIds = createClusterIds(cluster);
  const configuredPeers = createConfiguredPeers({
    ...seams,
    cluster: cluster.name,
    path: join(paths.run, "peers.json"),
    clusterIds,
    store,
  });
  const mirrors = createMirrors({
    ...seams,
    directory: paths.peers,
    own: cluster,
    ownStore: store,
    claims,
    clusterIds,
    configuredPeers,
    ownClaimsReady: (signal) => ownClaims.ready(signal),
    sessionsHold: holds.sessions,
    openPeerStore: (peer, file) =>
      createEtcdStore({
        ...seams,
        endpoints: file.endpoints,
        tls: { caFile: file.trustedCaFile, certFile: file.certFile, keyFile: file.keyFile },
        serverName: meshServerName(peer),
      }),
  });
  const plane =
    config.operations === undefined
      ? undefined
      : createOperationsPlane({
          ...seams,
          config: config.operations,
          profile,
          paths,
          leafEndpoints: (peer) =>
            mirrors.status().find(({ name }) => name === peer)?.leafEndpoints ?? [],
          peersWhole: async (signal) => objects?.peersWhole(signal),
          hold: holds.nats,
        });
  const events = createEventSink({
    ...seams,
    cluster: cluster.name,
    node: APISERVER_NODE,
    connection: plane?.connection,
    newId: randomUUID,
  });
  const drains = createDrains({
    ...seams,
    cluster,
    path: paths.drains,
    absentMeansNone: objects === undefined,
    clusterIds,
    store,
    events,
  });
  const nodes = (): string[] => [...source.Node.entries()].map(([name]) => name).sort();
  const coverage = { cluster: cluster.name, nodes, connection: plane?.connection, clock };
  const drills =
    plane === undefined
      ? []
      : [
          createApiserverDrillTask({
            ...seams,
            cluster: cluster.name,
            version,
            nodes,
            peers: () => mirrors.status().map(({ name }) => name),
            holds,
            etcdPid: config.etcd.mode === "embedded" ? () => etcd.status().pid : undefined,
            natsPid: config.operations?.mode === "embedded" ? () => plane.status().pid : undefined,
            die: options.die,
            etcd: etcd.connection,
            connection: plane.connection,
          }),
        ];
  const knowledge = { cluster: cluster.name, drains, mirrors, exporter, clock };
  const users = createEtcdUsers({
    ...seams,
    ...etcd.connection,
    cluster: cluster.name,
    path: paths.remoteUsers,
    generation: () => etcd.status().pid,
  });

  const exportState = async (signal: AbortSignal): Promise<void> => {
    const kept = objects === undefined ? {} : { kept: objects.identities };
    await restoreIdentities({ ...seams, cluster, store, snapshotPath, allocator, ...kept }, signal);
    await Promise.all([
      runIdentitySnapshot({ path: snapshotPath, allocator, clock }, signal),
      objects?.identities.run({ cluster, allocator }, signal),
      exporter.run(signal),
    ]);
  };
  const afterEtcd = (run: Task["run"]) => async (signal: AbortSignal) => {
    await etcd.listening(signal);
    await run(signal);
  };
  const reapplyLost = async (signal: AbortSignal): Promise<void> => {
    for await (const keys of store.lostKeys(signal)) {
      exporter.reapply(keys);
      mirrors.reapply(keys);
      configuredPeers.reapply(keys);
      drains.reapply(keys);
    }
  };
  /** A peers directory that is being filled lists too few, and who is not listed is removed. */
  const mirrorPeers = async (signal: AbortSignal): Promise<void> => {
    await objects?.peersWhole(signal);
    await mirrors.run(signal);
  };
  return {
    tasks: [
      ...(objects === undefined
        ? []
        : [{ name: "objects", run: (signal: AbortSignal) => objects.run(signal) }]),
      { name: "etcd users", run: afterEtcd((signal) => users.run(signal)) },
      { name: "source", run: (signal) => origin.run(signal) },
      { name: "export", run: afterEtcd(exportState) },
      { name: "own claims", run: (signal) => ownClaims.run(signal) },
      { name: "mirror", run: afterEtcd(mirrorPeers) },
      { name: "configured peers", run: afterEtcd((signal) => configuredPeers.run(signal)) },
      { name: "drains", run: afterEtcd((signal) => drains.run(signal)) },
      { name: "lost keys", run: reapplyLost },
      ...(plane?.tasks ?? []),
      ...drills,
      {
        name: "session events",
        run: (signal) => runSessionEvents({ peers: () => mirrors.status(), events, clock }, signal),
      },
    ],
    status: () =>
      gatherStatus({
        version,
        cluster,
        etcd: () => ({
          ...etcd.status(),
          writable: users.applied(),
          usersProblem: users.problem(),
        }),
        origin,
        objectProblems: () => objects?.problems() ?? [],
        source,
        identities: allocator,
        exporter,
        mirrors,
        drains: () => toldDrains(knowledge),
        drainsProblem: () => drains.problem(),
        operations: () => plane?.status(),
        uptimeSeconds: () => (clock.monotonicMs() - startedMs) / 1_000,
      }),
    checkDrain: (question) => checkDrain(question, knowledge),
    checkDrills: createDrillCoverage(coverage),
  };
}
