// The lab's daemons: the configuration file of each apiserver and agent, how each is started, and
// how the lab learns that it is ready.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { pkiPaths } from "../../pki/files.ts";
import { commandOutput, inNamespace } from "../../mesh/core/child-process.ts";
import { isInNamespace, namespacePath } from "./namespaces.ts";
import {
  AGENT_HEALTH_PORT,
  ETCD_PORT,
  HEALTH_PORT,
  JOIN_PORT,
  labNodes,
  LEAF_PORT,
  linkAddress,
  NATS_PORT,
  UNDERLAY_MTU,
} from "./plan.ts";
import type { LabCluster, LabNode, LabPlan } from "./plan.ts";
import { findAliveProcess, readAliveProcess, recordProcess, startProcess } from "./processes.ts";
import type { ProcessSpec } from "./processes.ts";

const PROJECT_ROOT = fileURLToPath(new URL("../..", import.meta.url));
const READY_PROBE = fileURLToPath(new URL("workload/ready-probe.ts", import.meta.url));
const OVERLAY_PORT = 8472;
/**
 * Two clusters of two nodes are ready in a few seconds. An apiserver that has lost everything but
 * 10,000 services needs a minute to tell of them again where others have the processors.
 */
const READY_LIMIT_MS = 120_000;
const ALIVE_POLL_MS = 100;
/** Of a dead daemon's last words; the log has them whole. */
const SAID_LENGTH = 300;

export interface Daemon extends ProcessSpec {
  readonly kind: "apiserver" | "agent";
  readonly cluster: string;
  /** Reachable inside the daemon's own namespace; answers 200 once it is ready. */
  readonly readyUrl: string;
}

/** The words that run one of the project's files with the Node that runs this one. */
export function nodeArgv(script: string, args: readonly string[]): string[] {
  return [process.execPath, "--disable-warning=ExperimentalWarning", script, ...args];
}

export function labDaemons(plan: LabPlan, cgroupRoot: string): Daemon[] {
  return [
    ...plan.members.map((cluster) => apiserverDaemon(plan, { cluster, cgroupRoot })),
    ...labNodes(plan).map((node) => agentDaemon(plan, { node, cgroupRoot })),
  ];
}

export function apiserverConfig(cluster: LabCluster): unknown {
  const address = linkAddress(cluster.control, 4);
  return {
    directory: cluster.directory,
    etcd: { mode: "embedded", listen: `https://${address}:${ETCD_PORT}` },
    healthListen: `127.0.0.1:${HEALTH_PORT}`,
    joinListen: `${address}:${JOIN_PORT}`,
    operations: {
      listen: `${address}:${NATS_PORT}`,
      leafListen: `${address}:${LEAF_PORT}`,
      // One operator has all the lab's clusters, so drills may ask them all from one.
      acceptDrillsFrom: "peers",
    },
  };
}

export function agentConfig(
  plan: LabPlan,
  { node, cgroupRoot }: { node: LabNode; cgroupRoot: string },
): unknown {
  const cluster = plan.members.find(({ name }) => name === node.cluster);
  if (cluster === undefined) throw new RangeError(`${node.name} is in no cluster of the lab`);
  const pki = pkiPaths(clusterPaths(cluster.directory).pki);
  return {
    clusterName: cluster.name,
    clusterId: cluster.id,
    maxConnectedClusters: 255,
    nodeName: node.name,
    etcdEndpoints: [`https://${linkAddress(cluster.control, 4)}:${ETCD_PORT}`],
    tls: { caFile: pki.caBundle, certFile: pki.localCertificate, keyFile: pki.localKey },
    bpfRoot: node.bpfRoot,
    // Pods only: the daemons' own connections must not be balanced.
    cgroupPath: join(cgroupRoot, plan.cgroup, node.podsCgroup),
    stateDirectory: node.stateDirectory,
    socket: node.socket,
    overlay: { device: "tombolo_vxlan", port: OVERLAY_PORT, underlayMtu: UNDERLAY_MTU },
    healthListen: `127.0.0.1:${AGENT_HEALTH_PORT}`,
    operations: { servers: [`${linkAddress(cluster.control, 4)}:${NATS_PORT}`] },
  };
}

/** Starts the daemons that are not running; returns the names of those it started. */
export async function startDaemons(
  daemons: readonly Daemon[],
  options: { clock: Clock; signal: AbortSignal },
): Promise<string[]> {
  const started: string[] = [];
  await Promise.all(
    daemons.map(async (daemon) => {
      const alive = await findAliveProcess(daemon);
      // One whose namespace was lost and made again is cut off from everything.
      if (alive !== undefined && (await isInNamespace(alive.pid, daemon.namespace))) {
        await recordProcess(daemon.recordFile, alive);
        return;
      }
      await startProcess(daemon, options);
      started.push(daemon.name);
    }),
  );
  return started.sort();
}

/** Resolves when the daemon says that it is ready; throws with where its log is. */
export async function awaitReady(
  daemon: Daemon,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const probe = nodeArgv(READY_PROBE, [daemon.readyUrl, String(READY_LIMIT_MS)]);
  const [program = process.execPath, ...args] = probe;
  const argv = inNamespace(namespacePath(daemon.namespace), [program, ...args]);
  // Whichever ends first ends the other: a daemon that died will never be ready.
  const done = new AbortController();
  const inner = AbortSignal.any([signal, done.signal]);
  try {
    await Promise.race([commandOutput({ argv }, inner), watchForEnd(daemon, { clock, inner })]);
  } catch (cause) {
    throw new MeshError("unavailable", `Cannot bring up "${daemon.name}"`, {
      cause,
      hint: `its log is ${daemon.logFile}`,
    });
  } finally {
    done.abort();
  }
}

async function watchForEnd(
  daemon: Daemon,
  { clock, inner }: { clock: Clock; inner: AbortSignal },
): Promise<never> {
  while ((await readAliveProcess(daemon.recordFile)) !== undefined) {
    await clock.sleep(ALIVE_POLL_MS, inner).catch(() => undefined);
    // The race is over; this side never settles.
    if (inner.aborted) return new Promise(() => {});
  }
  const last = (await readFile(daemon.logFile, "utf8")).trimEnd().split("\n").at(-1) ?? "";
  throw new MeshError("unavailable", `The process has ended, saying ${last.slice(0, SAID_LENGTH)}`);
}

function apiserverDaemon(
  plan: LabPlan,
  { cluster, cgroupRoot }: { cluster: LabCluster; cgroupRoot: string },
): Daemon {
  const { control } = cluster;
  const config = join(clusterPaths(cluster.directory).run, "apiserver.json");
  return {
    ...daemonPaths(plan, `${control.name}.apiserver`),
    kind: "apiserver",
    cluster: cluster.name,
    argv: nodeArgv(join(PROJECT_ROOT, "apiserver/main.ts"), ["--config", config]),
    namespace: control.namespace,
    cgroup: join(cgroupRoot, plan.cgroup, control.cgroup, "apiserver"),
    readyUrl: `http://127.0.0.1:${HEALTH_PORT}/readyz`,
  };
}

function agentDaemon(
  plan: LabPlan,
  { node, cgroupRoot }: { node: LabNode; cgroupRoot: string },
): Daemon {
  return {
    ...daemonPaths(plan, `${node.name}.agent`),
    kind: "agent",
    cluster: node.cluster,
    argv: nodeArgv(join(PROJECT_ROOT, "agent/main.ts"), [
      "--config",
      join(node.directory, "agent.json"),
    ]),
    namespace: node.namespace,
    cgroup: join(cgroupRoot, plan.cgroup, node.cgroup, "agent"),
    readyUrl: `http://127.0.0.1:${AGENT_HEALTH_PORT}/readyz`,
  };
}

function daemonPaths(
  { paths }: LabPlan,
  name: string,
): Pick<ProcessSpec, "name" | "logFile" | "recordFile"> {
  return {
    name,
    logFile: join(paths.logs, `${name}.log`),
    recordFile: join(paths.run, `${name}.json`),
  };
}
