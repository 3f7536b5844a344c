// A node of the Kubernetes lab as a machine: its files, its mount namespace, its cgroups. It has
// power as long as anything runs on it; without, it starts again like a machine that was off.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { inNamespace } from "../../../mesh/core/child-process.ts";
import type { Clock } from "../../../mesh/core/clock.ts";
import { PUBLIC_FILE_MODE, writeFileAtomic } from "../../../pki/atomic-file.ts";
import { createCgroup, isPopulated, removeCgroup } from "../cgroups.ts";
import { deleteNamespaces, namespaceExists, namespacePath } from "../namespaces.ts";
import type { LabPlan } from "../plan.ts";
import { createCgroupsV1, findCgroupV1, removeCgroupsV1 } from "./cgroup-v1.ts";
import { containerdConfiguration, kubeletConfiguration } from "./components.ts";
import { LOOPBACK_PLUGIN } from "./loopback.ts";
import {
  hasMountNamespace,
  makeMountNamespace,
  ownDirectory,
  removeMountNamespace,
} from "./mounts.ts";
import type { KubernetesCluster, KubernetesNode } from "./plan.ts";

export interface NodeOptions {
  readonly lab: LabPlan;
  readonly cgroupRoot: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Below the root of cgroup2; what the node takes for the root. */
export function nodeCgroup({ node }: KubernetesNode, options: NodeOptions): string {
  return join(options.cgroupRoot, options.lab.cgroup, node.cgroup);
}

/** Before namespaces are made: takes away what is left of a node on which nothing runs. */
export async function clearDeadNode(node: KubernetesNode, options: NodeOptions): Promise<void> {
  const whole = (await hasMountNamespace(node)) && (await namespaceExists(node.node.namespace));
  if (whole && (await isPopulated(nodeCgroup(node, options)))) return;
  await powerOff(node, options);
}

/** Ends everything on the node at once, and all that a machine keeps in memory with it. */
export async function powerOff(node: KubernetesNode, options: NodeOptions): Promise<void> {
  const { clock, signal } = options;
  await removeCgroup(nodeCgroup(node, options), { clock, signal });
  await removeMountNamespace(node, signal);
  await deleteNamespaces([node.node.namespace], signal);
  await removeCgroupsV1(node.cgroupV1, { hierarchies: findCgroupV1(), clock, signal });
}

/** Makes what is missing: files, cgroups, mount namespace. Its network namespace must be there. */
export async function ensureNode(
  cluster: KubernetesCluster,
  { node, sandboxImage }: { node: KubernetesNode; sandboxImage: string },
  options: NodeOptions,
): Promise<void> {
  await mkdir(node.node.directory, { recursive: true, mode: 0o700 });
  const write = (path: string, text: string): Promise<void> =>
    writeFileAtomic(path, text, { mode: PUBLIC_FILE_MODE });
  await write(node.containerdConfig, containerdConfiguration(sandboxImage));
  const kubelet = JSON.stringify(kubeletConfiguration(cluster), null, 2);
  await write(node.kubeletConfig, `${kubelet}\n`);
  const plugins = ownDirectory(node.disk, "/opt/cni/bin");
  await mkdir(plugins, { recursive: true });
  await writeFileAtomic(join(plugins, "loopback"), LOOPBACK_PLUGIN, { mode: 0o755 });
  const cgroup = nodeCgroup(node, options);
  const hierarchies = findCgroupV1();
  await createCgroup(cgroup);
  await createCgroupsV1(node.cgroupV1, hierarchies);
  if (await hasMountNamespace(node)) return;
  const { cgroupRoot, signal } = options;
  const cgroups = [
    { root: cgroupRoot, directory: cgroup },
    ...hierarchies.map((root) => ({ root, directory: join(root, node.cgroupV1) })),
  ];
  const kept = [options.lab.paths.root, options.lab.kubernetes?.assets ?? "/bin"];
  await makeMountNamespace(node, { kept, cgroups, signal });
}

/** The words that run `argv` on the node: in its network and its mount namespace. */
export function onNode(
  { node, mountNamespace }: KubernetesNode,
  argv: readonly [string, ...string[]],
): [string, ...string[]] {
  const [program, net = "", ...rest] = inNamespace(namespacePath(node.namespace), argv);
  return [program, net, `--mount=${mountNamespace}`, ...rest];
}
