// The agent of one node, put together from its real parts: what it waits for, in which order, and
// what runs beside what. Ending it changes no forwarding.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { collectConnections } from "../bpf/connections.ts";
import { openDatapath, type Datapath } from "../bpf/datapath.ts";
import { openPolicyMaps } from "../bpf/policy-maps.ts";
import { interfaceIndexFromName } from "../bpf/tc.ts";
import { createAgentServer } from "../mesh/api/agent-server.ts";
import { systemRandom } from "../mesh/core/backoff.ts";
import { isMeshError } from "../mesh/core/errors.ts";
import type { Clock } from "../mesh/core/clock.ts";
import type { Logger } from "../mesh/core/logger.ts";
import { createTable } from "../mesh/core/table.ts";
import { runTasks, type Task } from "../mesh/core/tasks.ts";
import { createKubernetesTransport } from "../mesh/kubernetes/transport.ts";
import { createEtcdStore } from "../mesh/kvstore/etcd-store.ts";
import { createAgent } from "./agent.ts";
import { findCgroupPath } from "./apply/cgroup-place.ts";
import { createIpCommand } from "./apply/ip-command.ts";
import { createNodeDevices, HOST_DEVICE } from "./apply/node-devices.ts";
import { createNodeSetup } from "./apply/node-setup.ts";
import { watchOverlay } from "./apply/overlay-watch.ts";
import { createPodRepair } from "./apply/pod-repair.ts";
import { createRouteOperations } from "./apply/route-operations.ts";
import { openNodeAddressBook } from "./cni/node-address-book.ts";
import type { AgentConfig, EtcdFiles, EtcdPlace } from "./config.ts";
import type { CidrRow } from "./policy/engine.ts";
import { createDrillPart } from "./drill/drill-part.ts";
import { createNodePolicy } from "./enforcement/node-policy.ts";
import { openPolicyAnswers } from "./enforcement/policy-answers.ts";
import { createNodeFlows } from "./flows/node-flows.ts";
import { createEtcdAccess } from "./kubernetes/etcd-access.ts";
import { openEchoSocket } from "./health/echo-socket.ts";
import { createNodeHealth } from "./health/node-health.ts";
import { createMasquerade, createNftTable } from "./masquerade/masquerade.ts";
import { createPluginConfig } from "./node/plugin-config.ts";
import { createAgentOperations } from "./operations/operations.ts";
import { startHttpServer } from "./status/http-server.ts";
import { reportHealth } from "./status/health-report.ts";
import { createMetrics } from "./status/metrics.ts";
import { readinessOf, type Readiness } from "./status/readiness.ts";
import { createReport } from "./status/report.ts";

const OBJECT_DIRECTORY = fileURLToPath(new URL("../build/bpf", import.meta.url));
/** Below the state directory: where etcd is and how to get in, under Kubernetes. */
const ETCD_ACCESS_DIRECTORY = "etcd";

export interface AgentProcess {
  readonly config: AgentConfig;
  readonly version: string;
  readonly clock: Clock;
  readonly kernelNowNs: () => bigint;
  readonly log: Logger;
}

/** What the probes and /metrics are answered from: it grows as the agent starts. */
interface Answers {
  readiness: () => Readiness;
  metrics: () => Promise<string>;
}

/** The way to etcd: at once, or once it has been found. */
interface EtcdWay {
  readonly endpoints: () => readonly string[];
  readonly tls: EtcdFiles;
  known(signal: AbortSignal): Promise<void>;
  missing(): readonly string[];
  readonly task: Task | undefined;
}

/** Resolves when the signal aborts. */
export async function runAgent(process: AgentProcess, signal: AbortSignal): Promise<void> {
  const { config } = process;
  const way = createEtcdWay(process);
  const answers: Answers = {
    readiness: () => ({ ready: false, reasons: ["The agent is starting", ...way.missing()] }),
    metrics: () => Promise.resolve(""),
  };
  const closers: { close(): void }[] = [];
  try {
    for (const listen of new Set([config.healthListen, config.metricsListen])) {
      if (listen === undefined) continue;
      const readiness = () => answers.readiness();
      const metrics = () => answers.metrics();
      closers.push(await startHttpServer({ listen, readiness, metrics }));
    }
    const node: Task = {
      name: "node",
      run: async (inner) => {
        try {
          await way.known(inner);
        } catch (error) {
          if (isMeshError(error, "aborted")) return;
          throw error;
        }
        await runNode({ process, way, answers }, inner);
      },
    };
    await runTasks(way.task === undefined ? [node] : [way.task, node], signal);
  } finally {
    for (const closer of closers.reverse()) closer.close();
  }
}

function createEtcdWay({ config, clock, log }: AgentProcess): EtcdWay {
  const place: EtcdPlace = config.etcd;
  if (place.kind === "fixed") {
    const { endpoints, tls } = place;
    const known = (): Promise<void> => Promise.resolve();
    return { endpoints: () => endpoints, tls, known, missing: () => [], task: undefined };
  }
  const access = createEtcdAccess({
    transport: createKubernetesTransport(place, { clock }),
    namespace: place.namespace,
    directory: join(config.stateDirectory, ETCD_ACCESS_DIRECTORY),
    clock,
    random: systemRandom,
    log,
  });
  const task = { name: "etcd-access", run: (signal: AbortSignal) => access.run(signal) };
  return { ...access, task };
}

async function runNode(
  parts: { readonly process: AgentProcess; readonly way: EtcdWay; readonly answers: Answers },
  signal: AbortSignal,
): Promise<void> {
  const { process, way, answers } = parts;
  const { config, clock, log } = process;
  const startedMs = clock.monotonicMs();
  const ip = createIpCommand();
  const { device, port, underlayMtu } = config.overlay;
  const devices = createNodeDevices({
    ip,
    device,
    port,
    procSysNet: config.procSysNet,
    nodeId: `${config.cluster.name}/${config.nodeName}`,
  });
  const overlayIfindex = await devices.ensureOverlay(signal);
  const cgroupPath = findCgroupPath(config.cgroup);
  using datapath: Datapath = openDatapath({
    bpfRoot: config.bpfRoot,
    cgroupPath,
    overlayInterface: device,
    overlayPort: port,
    cluster: config.cluster,
    objectDirectory: OBJECT_DIRECTORY,
  });
  using policies = openPolicyMaps(config.bpfRoot);
  const cidrRows = createTable<CidrRow>({ name: "cidr-rows" });
  const serverName = `${config.cluster.name}.mesh.cilium.io`;
  const store = createEtcdStore({
    endpoints: way.endpoints,
    tls: way.tls,
    serverName,
    clock,
    random: systemRandom,
    log,
  });
  const operations = createAgentOperations({
    cluster: config.cluster.name,
    nodeName: config.nodeName,
    place: config.operations,
    etcdEndpoints: way.endpoints,
    tls: way.tls,
    serverName,
    clock,
    random: systemRandom,
    log,
  });
  const agent = createAgent({
    config,
    store,
    maps: datapath.maps,
    clusterState: datapath.maps.clusterState,
    cidrRows,
    kernelNowNs: process.kernelNowNs,
    createRouteOperations: (settlement) =>
      createRouteOperations({
        ip,
        device,
        settlement,
        addressesReady: (inner) => nodeSetup.ready(inner),
      }),
    isBackendDown: (backend) => nodeHealth.isBackendDown(backend),
    clock,
    random: systemRandom,
    log,
  });
  const book = await openNodeAddressBook(config.stateDirectory);
  const policy = createNodePolicy({
    settings: config.policy,
    cluster: config.cluster,
    agent,
    maps: datapath.maps,
    policies,
    cidrRows,
    book,
    stateDirectory: config.stateDirectory,
    interfaceIndex: interfaceIndexFromName,
    collect: () => collectConnections(config.bpfRoot),
    clock,
    log,
  });
  using answersOfPolicy = openPolicyAnswers({
    ...config,
    ...agent,
    policy,
    policies,
    maps: datapath.maps,
    clock,
    kernelNowNs: process.kernelNowNs,
    log,
  });
  const flows = createNodeFlows({
    book,
    stateDirectory: config.stateDirectory,
    maps: datapath.maps,
    agent,
    clock,
    log,
  });
  const nodeHealth = createNodeHealth({
    settings: config.health,
    cluster: config.cluster,
    nodeName: config.nodeName,
    agent,
    maps: datapath.maps,
    openSocket: (family, source) => openEchoSocket({ family, source, ifindex: overlayIfindex }),
    flows: flows.reset,
    events: operations.events,
    newCookie: () => randomBytes(8).readBigUInt64LE() || 1n,
    clock,
    kernelNowNs: process.kernelNowNs,
    log,
  });
  const { health } = nodeHealth;
  const nodeSetup = createNodeSetup({
    ...config,
    nodes: agent.intent.own.nodes,
    underlayMtu,
    foreignAddresses: config.cni?.mode === "chained",
    devices,
    clock,
    log,
  });
  const podRepair = createPodRepair({
    book,
    endpoints: datapath.maps.endpoints,
    interfaceIndex: interfaceIndexFromName,
    mayAttach: (ifindex) => policy.isDecided(ifindex),
    attachPod: (ifindex) => datapath.attachPod(ifindex),
    clock,
    log,
  });
  const readiness = (): Readiness =>
    readinessOf(agent, {
      isSetUp: nodeSetup.current() !== undefined,
      problems: [pluginConfig?.problem() ?? ""],
      remarks: [masquerade?.problem() ?? "", flows.problem(), policy.problem()],
    });
  const report = createReport({
    agent,
    readiness,
    nodeName: config.nodeName,
    version: process.version,
    clusterState: datapath.maps.clusterState,
    cniNode: () => nodeSetup.current(),
    health: () =>
      reportHealth({
        node: config.nodeName,
        cluster: config.cluster.name,
        health,
        intervalMs: config.health.intervalMs,
        backendsDown: () => nodeHealth.backendsDown(),
        clock,
        kernelNowNs: process.kernelNowNs,
      }),
    flows: () => flows.reset.status(),
    clock,
    kernelNowNs: process.kernelNowNs,
    startedMs,
  });
  const drill = createDrillPart({
    config,
    version: process.version,
    cgroupPath,
    maps: datapath.maps,
    ip,
    agent,
    isDown: (backend) => nodeHealth.isBackendDown(backend),
    health,
    flows: flows.reset,
    connection: operations.connection,
    clock,
    kernelNowNs: process.kernelNowNs,
    log,
  });
  const overlay = {
    device,
    ifindex: overlayIfindex,
    interfaceIndex: interfaceIndexFromName,
    clock,
  };
  const pluginConfig =
    config.cni === undefined
      ? undefined
      : createPluginConfig({
          cni: config.cni,
          stateDirectory: config.stateDirectory,
          ready: (inner) => nodeSetup.ready(inner),
          clock,
          log,
        });
  const masquerade = config.masquerade
    ? createMasquerade({
        nft: createNftTable(),
        podPrefixes: () => nodeSetup.current()?.podPrefixes,
        devices: [device, HOST_DEVICE],
        ready: (inner) => nodeSetup.ready(inner),
        clock,
        log,
      })
    : undefined;
  const metrics = createMetrics({
    status: () => report.getStatus({}, undefined),
    health: () => report.getHealth({}, undefined),
    policy: () => answersOfPolicy.counts(),
  });
  const closers: { close(): void }[] = [store];
  try {
    closers.push(
      await createAgentServer({
        socket: config.socket,
        methods: report,
        policy: answersOfPolicy.methods,
        ask: drill.ask,
      }),
    );
    answers.readiness = readiness;
    answers.metrics = () => metrics.text();
    log.info("Agent is running", { cluster: config.cluster.name });
    const tasks: Task[] = [
      { name: "agent", run: (inner) => agent.run(inner) },
      { name: "node-setup", run: (inner) => nodeSetup.run(inner) },
      {
        name: "pod-repair",
        run: async (inner) => {
          const attachAll = policy.decided(inner).then(() => podRepair.repair());
          await Promise.all([podRepair.run(inner), attachAll]);
        },
      },
      { name: "overlay-watch", run: (inner) => watchOverlay(overlay, inner) },
      ...operations.tasks,
      ...policy.tasks,
      ...answersOfPolicy.tasks,
      ...flows.tasks,
      ...drill.tasks,
    ];
    if (health !== undefined) {
      tasks.push({ name: "health", run: (inner) => health.run(inner) });
    }
    if (pluginConfig !== undefined) {
      tasks.push({ name: "plugin-config", run: (inner) => pluginConfig.run(inner) });
    }
    if (masquerade !== undefined) {
      tasks.push({ name: "masquerade", run: (inner) => masquerade.run(inner) });
    }
    await runTasks(tasks, signal);
  } finally {
    answers.readiness = () => ({ ready: false, reasons: ["The agent is ending"] });
    for (const closer of closers.reverse()) closer.close();
  }
}
