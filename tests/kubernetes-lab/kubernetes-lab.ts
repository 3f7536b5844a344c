// A Kubernetes lab of its own for one test file: its own name, its own home in a temporary
// directory, always taken down. Brought up and down with the command that people use; processes
// and nodes are killed and started again through the lab's own modules. Nothing here supervises:
// what a test kills stays dead until the test starts it.
import { ensureImage } from "../../deploy/images/build.ts";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { listProcesses } from "../../deploy/lab/cgroups.ts";
import {
  awaitApi,
  awaitNodes,
  labComponents,
  startComponents,
} from "../../deploy/lab/kubernetes/clusters.ts";
import type { Component } from "../../deploy/lab/kubernetes/components.ts";
import { importImages } from "../../deploy/lab/kubernetes/images.ts";
import { kubectl, tryKubectl } from "../../deploy/lab/kubernetes/kubectl.ts";
import { onNode, powerOff } from "../../deploy/lab/kubernetes/node.ts";
import {
  findKubernetesCluster,
  findKubernetesNode,
  type KubernetesCluster,
} from "../../deploy/lab/kubernetes/plan.ts";
import { namespacePath } from "../../deploy/lab/namespaces.ts";
import { findCluster, findNode } from "../../deploy/lab/plan.ts";
import type { PodHost } from "../../deploy/lab/pods.ts";
import { nodeArgv } from "../../deploy/lab/daemons.ts";
import { readAliveProcess } from "../../deploy/lab/processes.ts";
import { commandOutput, inNamespace, type CommandResult } from "../../mesh/core/child-process.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { collect, createTestLab, never, type MeshResult, type TestLab } from "../e2e/test-lab.ts";
import { eventually } from "../fakes/eventually.ts";

const MESH = fileURLToPath(new URL("../../mesh/main.ts", import.meta.url));
/** Two clusters on a busy machine of two cores; building the image comes on top. */
export const KUBERNETES_UP_LIMIT_MS = 900_000;

export interface WhichComponent {
  readonly cluster: string;
  readonly kind: Component["kind"];
  /** "control", "node1" …; every one if left out. */
  readonly member?: string;
}

export interface KubernetesTestLab extends TestLab {
  /** `lab up --source kubernetes`; also what gives a node its power back. */
  readonly upKubernetes: (more?: readonly string[]) => Promise<MeshResult>;
  readonly cluster: (name: string) => Promise<KubernetesCluster>;
  /** As administrator; returns what kubectl wrote, throws when it fails. */
  readonly kubectl: (cluster: string, args: readonly string[], input?: string) => Promise<string>;
  readonly tryKubectl: (cluster: string, args: readonly string[]) => Promise<CommandResult>;
  /** `mesh` with the cluster's kubeconfig, from where its API is reachable. */
  readonly meshAt: (cluster: string, words: readonly string[]) => Promise<MeshResult>;
  /** Puts Tombolo's image on the cluster's nodes; returns its name. */
  readonly importTombolo: (cluster: string) => Promise<string>;
  /** What a command on a node has written; the node is "node1" … */
  readonly onNode: (
    place: { readonly cluster: string; readonly node: string },
    argv: readonly [string, ...string[]],
  ) => Promise<string>;
  /** kill -9; gone when this resolves. A runtime's pods go on. */
  readonly kill: (which: WhichComponent) => Promise<void>;
  /** Starts what is dead of these and resolves when the cluster is whole again. */
  readonly start: (which: WhichComponent) => Promise<void>;
  /** Ends everything on the node at once, pods and network included, as a power cut does. */
  readonly killNode: (cluster: string, node: string) => Promise<void>;
  /** kill -9 of every process of the lab; returns how many there were. */
  readonly killEverything: () => Promise<number>;
}

export function createKubernetesTestLab(kind: string): KubernetesTestLab {
  const lab = createTestLab(kind);
  const cluster = async (name: string): Promise<KubernetesCluster> =>
    findKubernetesCluster((await lab.open()).plan, name);
  const components = async ({ cluster: name, kind: what, member }: WhichComponent) => {
    const { plan, cgroupRoot } = await lab.open();
    return labComponents(plan, cgroupRoot).filter(
      (component) =>
        component.cluster === name &&
        component.kind === what &&
        (member === undefined || component.member === member),
    );
  };
  return {
    ...lab,
    cluster,
    upKubernetes: (more = []) => lab.up(["--source", "kubernetes", ...more]),
    kubectl: async (name, args, input) =>
      kubectl(await cluster(name), {
        args,
        signal: never,
        ...(input === undefined ? {} : { input }),
      }),
    tryKubectl: async (name, args) => tryKubectl(await cluster(name), { args, signal: never }),
    async meshAt(name, words) {
      const plan = await cluster(name);
      const [command = "", ...rest] = words;
      const at = ["--kubeconfig", plan.adminKubeconfig, "--context", name];
      const [node = process.execPath, ...args] = nodeArgv(MESH, [command, ...at, ...rest]);
      const argv = inNamespace(namespacePath(plan.cluster.control.namespace), [node, ...args]);
      const env = { ...process.env, NODE_OPTIONS: "", TOMBOLO_HOME: lab.home };
      const [program, ...more] = argv;
      return collect(spawn(program, more, { env, stdio: ["ignore", "pipe", "pipe"] }));
    },
    async importTombolo(name) {
      const image = await ensureImage({ say: () => undefined, clock: systemClock }, never);
      const { nodes } = await cluster(name);
      await importImages(nodes, { images: [image], signal: never });
      return image.name;
    },
    async onNode({ cluster: name, node }, argv) {
      const plan = await cluster(name);
      const found = plan.nodes.find((candidate) => candidate.node.member === node);
      if (found === undefined) throw new Error(`"${name}/${node}" is no node`);
      return commandOutput({ argv: onNode(found, argv) }, never);
    },
    async kill(which) {
      for (const component of await components(which)) {
        const record = await readAliveProcess(component.recordFile);
        if (record === undefined) continue;
        process.kill(record.pid, "SIGKILL");
        await eventually(async () => (await readAliveProcess(component.recordFile)) === undefined);
      }
    },
    async start(which) {
      const host = await lab.open();
      const options = { clock: systemClock, signal: never };
      await startComponents(await components(which), options);
      const all = labComponents(host.plan, host.cgroupRoot);
      const plan = await cluster(which.cluster);
      await awaitApi(plan, { ...options, components: all });
      await awaitNodes(plan, { ...options, components: all });
    },
    async killNode(name, node) {
      const host = await lab.open();
      const found = findKubernetesNode(host.plan, findNode(findCluster(host.plan, name), node));
      if (found === undefined) throw new Error(`"${name}/${node}" is no node of Kubernetes`);
      await powerOff(found, { ...machineOf(host), signal: never });
    },
    async killEverything() {
      const { plan, cgroupRoot } = await lab.open();
      const pids = await listProcesses(`${cgroupRoot}/${plan.cgroup}`);
      for (const pid of pids) process.kill(pid, "SIGKILL");
      return pids.length;
    },
  };
}

function machineOf({ plan, cgroupRoot, clock }: PodHost) {
  return { lab: plan, cgroupRoot, clock };
}
