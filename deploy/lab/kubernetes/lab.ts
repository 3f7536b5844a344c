// A Kubernetes lab as a whole: its steps up, what of it must be removed beside the lab's own, and
// nodes that lose power and get it back.
import { writeLabRecord } from "../cluster-files.ts";
import { ensureNamespaces } from "../namespaces.ts";
import type { LabPaths, LabPlan } from "../plan.ts";
import type { Stepper } from "../steps.ts";
import { findCgroupV1, removeCgroupsV1 } from "./cgroup-v1.ts";
import {
  awaitApi,
  awaitNodes,
  awaitRuntime,
  labComponents,
  startComponents,
  type StartOptions,
} from "./clusters.ts";
import { ensureCredentials } from "./credentials.ts";
import { importImages, type ImageArchive } from "./images.ts";
import { installTombolo, writeClusterContext } from "./install.ts";
import { mountPinDirectory, unmountPinDirectory } from "./mounts.ts";
import { clearDeadNode, ensureNode } from "./node.ts";
import { mountNamespaceDirectory, planKubernetes } from "./plan.ts";

export interface KubernetesLabOptions extends StartOptions {
  readonly cgroupRoot: string;
  readonly step: Stepper;
  readonly images: LabImages;
}

export interface LabImages {
  /** What every pod's sandbox runs. */
  readonly sandbox: ImageArchive;
  /** Undefined for clusters without Tombolo. */
  readonly tombolo: ImageArchive | undefined;
}

/** Makes what is missing of the lab; resolves when everything that it shall run is ready. */
export async function makeKubernetesLab(
  lab: LabPlan,
  options: KubernetesLabOptions,
): Promise<void> {
  await makeClusters(lab, options);
  const clusters = planKubernetes(lab);
  await Promise.all(clusters.map((plan) => writeClusterContext(lab, plan)));
  const { tombolo } = options.images;
  if (tombolo === undefined) return;
  const { signal, step } = options;
  await step("Tombolo", async () => {
    await Promise.all(
      clusters.map((plan) => installTombolo(plan, { image: tombolo.name, signal })),
    );
    return "apiservers and agents are ready";
  });
}

/** Resolves when every node is registered and alive. */
async function makeClusters(lab: LabPlan, options: KubernetesLabOptions): Promise<void> {
  const { cgroupRoot, clock, signal, step } = options;
  const clusters = planKubernetes(lab);
  const nodes = clusters.flatMap((cluster) => cluster.nodes.map((node) => ({ cluster, node })));
  const machine = { lab, cgroupRoot, clock, signal };
  await step("namespaces, links, keys", async () => {
    await writeLabRecord(lab);
    await mountPinDirectory(mountNamespaceDirectory(lab.paths), signal);
    await Promise.all(nodes.map(({ node }) => clearDeadNode(node, machine)));
    await Promise.all([
      ensureNamespaces(lab, signal),
      ...clusters.map((plan) => ensureCredentials(plan, clock.nowMs())),
    ]);
    return `${clusters.length} clusters, ${nodes.length} nodes`;
  });
  const sandboxImage = options.images.sandbox.name;
  await step("nodes' file systems and cgroups", async () => {
    await Promise.all(
      nodes.map(({ cluster, node }) => ensureNode(cluster, { node, sandboxImage }, machine)),
    );
    return "made";
  });
  const components = labComponents(lab, cgroupRoot);
  const ofKind = (...kinds: string[]) => components.filter(({ kind }) => kinds.includes(kind));
  const started = { components, clock, signal };
  let count = 0;
  await step("etcd, kube-apiserver, containerd", async () => {
    count = await startComponents(ofKind("etcd", "kube-apiserver", "containerd"), options);
    await Promise.all(nodes.map(({ node }) => awaitRuntime(node, started)));
    return `started ${count}, kept ${nodes.length + 2 * clusters.length - count}`;
  });
  await step("images", async () => {
    const { sandbox, tombolo } = options.images;
    const images = tombolo === undefined ? [sandbox] : [sandbox, tombolo];
    const names = nodes.map(({ node }) => node);
    return `imported ${await importImages(names, { images, signal })}`;
  });
  await step("Kubernetes API", async () => {
    await Promise.all(clusters.map((plan) => awaitApi(plan, started)));
    return "ready";
  });
  await step("controllers, scheduler, kubelets", async () => {
    const rest = ofKind("kube-controller-manager", "kube-scheduler", "kubelet");
    count = await startComponents(rest, options);
    await Promise.all(clusters.map((plan) => awaitNodes(plan, started)));
    return `started ${count}, kept ${rest.length - count}; nodes are registered`;
  });
}

/** What a Kubernetes lab has beside namespaces, the lab's cgroup and files. All must be dead. */
export async function removeClusterMounts(
  { paths, namespacePrefix }: { paths: LabPaths; namespacePrefix: string },
  options: StartOptions,
): Promise<void> {
  await unmountPinDirectory(mountNamespaceDirectory(paths), options.signal);
  await removeCgroupsV1(namespacePrefix, { ...options, hierarchies: findCgroupV1() });
}
