// A lab of its own for one test file: its own name, its own home in a temporary directory, always
// taken down. Brought up and down with the command that people use; pods and services are made
// through the lab's own modules.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listProcesses } from "../../deploy/lab/cgroups.ts";
import { labDaemons, nodeArgv, type Daemon } from "../../deploy/lab/daemons.ts";
import { findLabPlace } from "../../deploy/lab/enter.ts";
import { openLab } from "../../deploy/lab/lab.ts";
import { findCluster } from "../../deploy/lab/plan.ts";
import { createPod, type PodHost, type PodSpec } from "../../deploy/lab/pods.ts";
import { serviceTargets, writeService, type LabService } from "../../deploy/lab/services.ts";
import { startSteadyClient, type SteadyClient } from "../../deploy/lab/steady-client.ts";
import { systemClock } from "../../mesh/core/clock.ts";

const MESH = fileURLToPath(new URL("../../mesh/main.ts", import.meta.url));
/** Generous: a busy machine of two cores needs some ten seconds. */
export const UP_LIMIT_MS = 180_000;
export const never = new AbortController().signal;

export const CART: LabService = {
  namespace: "shop",
  name: "cart",
  number: 10,
  annotations: { "service.cilium.io/global": "true" },
  selector: { app: "cart" },
  port: 80,
  targetPort: 8080,
};

export interface MeshResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestLab {
  readonly name: string;
  readonly home: string;
  readonly mesh: (words: readonly string[]) => Promise<MeshResult>;
  /** With a file's contents on stdin, through a pipe as in a shell. */
  readonly meshFed: (file: string, words: readonly string[]) => Promise<MeshResult>;
  /** With the lab's home, or another one. */
  readonly startMesh: (words: readonly string[], home?: string) => ChildProcess;
  readonly up: (more?: readonly string[]) => Promise<MeshResult>;
  readonly down: () => Promise<MeshResult>;
  readonly open: () => Promise<PodHost>;
  /** Takes the lab down, whatever became of it, and removes its home. */
  readonly remove: () => Promise<void>;
}

export function createTestLab(kind: string): TestLab {
  const name = `e2e${kind}${process.pid}`;
  const home = mkdtempSync(join(tmpdir(), "tombolo-e2e-"));
  const start = ([program = "", ...args]: readonly string[], where: string): ChildProcess =>
    spawn(program, args, {
      env: { ...process.env, NODE_OPTIONS: "", TOMBOLO_HOME: where },
      stdio: ["ignore", "pipe", "pipe"],
    });
  const startMesh = (words: readonly string[], where = home): ChildProcess =>
    start(nodeArgv(MESH, words), where);
  const mesh = (words: readonly string[]): Promise<MeshResult> => collect(startMesh(words));
  const down = (): Promise<MeshResult> => mesh(["lab", "down", "--name", name]);
  return {
    name,
    home,
    mesh,
    meshFed: (file, words) =>
      collect(start(["sh", "-c", 'cat "$0" | "$@"', file, ...nodeArgv(MESH, words)], home)),
    startMesh,
    down,
    up: (more = []) => mesh(["lab", "up", "--name", name, ...more]),
    open: () => openLab(name, { home, clock: systemClock }),
    async remove() {
      const { status, stderr } = await down();
      rmSync(home, { recursive: true, force: true });
      if (status !== 0) throw new Error(`Cannot take the test's lab down: ${stderr}`);
    },
  };
}

export function collect(child: ChildProcess): Promise<MeshResult> {
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status: status ?? -1, stdout, stderr }));
  });
}

/** Throws with what the command said; the test's failure then tells the reason. */
export function mustSucceed(result: MeshResult): string {
  if (result.status !== 0) throw new Error(`Exit status ${result.status}: ${result.stderr}`);
  return result.stdout;
}

/** shop/cart in every cluster, one backend on each node, and a client on east's first node. */
export async function deployCart(host: PodHost): Promise<void> {
  await Promise.all(host.plan.members.map((cluster) => writeService(cluster, CART)));
  const backends = host.plan.members.flatMap(({ name, nodes }) =>
    nodes.map(({ member }, i) => cartPod({ cluster: name, node: member, name: `cart-${i + 1}` })),
  );
  const client: PodSpec = {
    ...cartPod({ cluster: "east", node: "node1", name: "client" }),
    labels: { app: "client" },
    workload: { kind: "command", argv: ["sleep", "infinity"] },
    ports: [],
  };
  await Promise.all([...backends, client].map((pod) => createPod(host, pod, never)));
}

export function cartPod(place: Pick<PodSpec, "cluster" | "node" | "name">): PodSpec {
  return {
    ...place,
    namespace: CART.namespace,
    labels: { ...CART.selector },
    serviceAccount: "default",
    workload: { kind: "echo", port: CART.targetPort },
    ports: [
      { name: "main", containerPort: CART.targetPort, protocol: "TCP" },
      { name: "main-udp", containerPort: CART.targetPort, protocol: "UDP" },
    ],
  };
}

/** Every way to reach shop/cart from east. */
export function cartTargets(host: PodHost): string[] {
  return serviceTargets(findCluster(host.plan, "east"), CART);
}

export async function startClient(
  host: PodHost,
  options: {
    targets: readonly string[];
    pod?: string;
    intervalMs: number;
    timeoutMs?: number;
    keep?: boolean;
  },
): Promise<SteadyClient> {
  return startSteadyClient({
    // Far beyond anything but a lost packet's second retransmission.
    timeoutMs: 5_000,
    ...options,
    place: await findLabPlace(host, options.pod ?? "east/shop/client"),
    clock: systemClock,
  });
}

/** Ends daemons of the lab, and an apiserver's etcd, with SIGKILL; returns how many processes. */
export async function killDaemons(
  host: PodHost,
  which: (daemon: Daemon) => boolean,
): Promise<number> {
  const daemons = labDaemons(host.plan, host.cgroupRoot).filter(which);
  const pids = (await Promise.all(daemons.map(({ cgroup }) => listProcesses(cgroup)))).flat();
  for (const pid of pids) process.kill(pid, "SIGKILL");
  return pids.length;
}
