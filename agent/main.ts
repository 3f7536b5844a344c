// The agent of one node: `agent/main.ts --config FILE`, inside the node's network namespace. This
// file puts the real parts together and owns the process; ending it changes no forwarding.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openDatapath, type Datapath } from "../bpf/datapath.ts";
import { interfaceIndexFromName } from "../bpf/tc.ts";
import { createAgentServer } from "../mesh/api/agent-server.ts";
import { systemRandom } from "../mesh/core/backoff.ts";
import { systemClock } from "../mesh/core/clock.ts";
import { isMeshError, MeshError } from "../mesh/core/errors.ts";
import { createJsonLogger, type Logger } from "../mesh/core/logger.ts";
import { runTasks, type Task } from "../mesh/core/tasks.ts";
import { createEtcdStore } from "../mesh/kvstore/etcd-store.ts";
import { printError } from "../mesh/terminal.ts";
import { createAgent } from "./agent.ts";
import { createIpCommand } from "./apply/ip-command.ts";
import { createNodeDevices } from "./apply/node-devices.ts";
import { createNodeSetup } from "./apply/node-setup.ts";
import { watchOverlay } from "./apply/overlay-watch.ts";
import { createPodRepair } from "./apply/pod-repair.ts";
import { createRouteOperations } from "./apply/route-operations.ts";
import { openAddressBook, type AddressBook } from "./cni/address-book.ts";
import { readAgentConfig, type AgentConfig } from "./config.ts";
import { startHttpServer } from "./status/http-server.ts";
import { createMetrics } from "./status/metrics.ts";
import { readinessOf } from "./status/readiness.ts";
import { createReport } from "./status/report.ts";

const OBJECT_DIRECTORY = fileURLToPath(new URL("../build/bpf", import.meta.url));
const PACKAGE_FILE = new URL("../package.json", import.meta.url);

async function runAgent(config: AgentConfig, log: Logger, signal: AbortSignal): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  const ip = createIpCommand();
  const { device, port, underlayMtu } = config.overlay;
  const devices = createNodeDevices({ ip, device, port });
  const overlayIfindex = await devices.ensureOverlay(signal);
  using datapath: Datapath = openDatapath({
    bpfRoot: config.bpfRoot,
    cgroupPath: config.cgroupPath,
    overlayInterface: device,
    objectDirectory: OBJECT_DIRECTORY,
  });
  const store = createEtcdStore({
    endpoints: config.etcdEndpoints,
    tls: config.tls,
    serverName: `${config.cluster.name}.mesh.cilium.io`,
    clock: systemClock,
    random: systemRandom,
    log,
  });
  const agent = createAgent({
    config,
    store,
    maps: datapath.maps,
    createRouteOperations: (settlement) =>
      createRouteOperations({
        ip,
        device,
        settlement,
        addressesReady: (inner) => nodeSetup.ready(inner),
      }),
    clock: systemClock,
    random: systemRandom,
    log,
  });
  const nodeSetup = createNodeSetup({
    ...config,
    nodes: agent.intent.own.nodes,
    underlayMtu,
    devices,
    clock: systemClock,
    log,
  });
  const podRepair = createPodRepair({
    book: await openNodeAddressBook(config.stateDirectory),
    endpoints: datapath.maps.endpoints,
    interfaceIndex: interfaceIndexFromName,
    attachPod: (ifindex) => datapath.attachPod(ifindex),
    clock: systemClock,
    log,
  });
  const report = createReport({
    agent,
    nodeName: config.nodeName,
    version: await readVersion(),
    clusterState: datapath.maps.clusterState,
    cniNode: () => nodeSetup.current(),
    clock: systemClock,
    kernelNowNs: () => process.hrtime.bigint(),
    startedMs,
  });
  const overlay = {
    device,
    ifindex: overlayIfindex,
    interfaceIndex: interfaceIndexFromName,
    clock: systemClock,
  };
  const metrics = createMetrics(() => report.getStatus({}, undefined));
  const closers: { close(): void }[] = [store];
  try {
    closers.push(await createAgentServer({ socket: config.socket, methods: report }));
    const listens = new Set([config.healthListen, config.metricsListen]);
    for (const listen of listens) {
      if (listen === undefined) continue;
      const readiness = () => readinessOf(agent, { isSetUp: nodeSetup.current() !== undefined });
      closers.push(await startHttpServer({ listen, readiness, metrics: () => metrics.text() }));
    }
    log.info("Agent is running", { node: config.nodeName, cluster: config.cluster.name });
    const tasks: Task[] = [
      { name: "agent", run: (inner) => agent.run(inner) },
      { name: "node-setup", run: (inner) => nodeSetup.run(inner) },
      { name: "pod-repair", run: (inner) => podRepair.run(inner) },
      { name: "overlay-watch", run: (inner) => watchOverlay(overlay, inner) },
    ];
    await runTasks(tasks, signal);
  } finally {
    for (const closer of closers.reverse()) closer.close();
  }
}

/** The book that the CNI plugin keeps. */
async function openNodeAddressBook(stateDirectory: string): Promise<AddressBook> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const directory = join(stateDirectory, "address-book");
  return openAddressBook(directory, { bootId, uniqueName: randomUUID() });
}

async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(PACKAGE_FILE, "utf8")) as { version: string };
  return version;
}

function parseConfigPath(args: readonly string[]): string {
  const { values } = parseArgs({ args: [...args], options: { config: { type: "string" } } });
  if (values.config === undefined) {
    throw new MeshError("invalid_argument", "Cannot start the agent: --config FILE is missing");
  }
  return values.config;
}

const stderr = { write: (text: string) => void process.stderr.write(text), colour: false };
const log = createJsonLogger({
  write: stderr.write,
  nowMs: systemClock.nowMs,
  level: process.env["TOMBOLO_DEBUG"] === undefined ? "info" : "debug",
});
const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));

try {
  const config = await readAgentConfig(parseConfigPath(process.argv.slice(2)));
  await runAgent(config, log.with({ node: config.nodeName }), abort.signal);
} catch (error) {
  if (!abort.signal.aborted) {
    printError(stderr, error);
    process.exitCode = isMeshError(error, "invalid_argument") ? 2 : 1;
  }
}
