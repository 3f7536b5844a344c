// A Kubernetes lab of its own for one test file: its own name, its own home in a temporary
// directory, always taken down. Brought up and down with the command that people use; processes
// and nodes are killed and started again through the lab's own modules. Nothing here supervises:
// what a test kills stays dead until the test starts it.
import { listProcesses } from "../../deploy/lab/cgroups.ts";
import {
  awaitApi,
  awaitNodes,
  labComponents,
  startComponents,
} from "../../deploy/lab/kubernetes/clusters.ts";
import type { Component } from "../../deploy/lab/kubernetes/components.ts";
import { kubectl, tryKubectl } from "../../deploy/lab/kubernetes/kubectl.ts";
import { powerOff } from "../../deploy/lab/kubernetes/node.ts";
import {
  findKubernetesCluster,
  findKubernetesNode,
  type KubernetesCluster,
} from "../../deploy/lab/kubernetes/plan.ts";
import { findCluster, findNode } from "../../deploy/lab/plan.ts";
import type { PodHost } from "../../deploy/lab/pods.ts";
import { readAliveProcess } from "../../deploy/lab/processes.ts";
import type { CommandResult } from "../../mesh/core/child-process.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createTestLab, never, type MeshResult, type TestLab } from "../e2e/test-lab.ts";
import { eventually } from "../fakes/eventually.ts";

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
