// Puts Tombolo into the lab's clusters by the command that people use, run where the Kubernetes API
// is reachable; and writes the contexts by which `mesh` finds the clusters afterwards.
import { fileURLToPath } from "node:url";
import { commandOutput, inNamespace } from "../../../mesh/core/child-process.ts";
import { writeContext } from "../../../mesh/contexts/contexts.ts";
import { nodeArgv } from "../daemons.ts";
import { namespacePath } from "../namespaces.ts";
import { linkAddress, UNDERLAY_MTU, type LabPlan } from "../plan.ts";
import { API_PORT, type KubernetesCluster } from "./plan.ts";

const MESH = fileURLToPath(new URL("../../../mesh/main.ts", import.meta.url));
/** Both clusters start everything at once; a busy machine of two cores takes minutes. */
const READY_LIMIT_SECONDS = 600;

/** Under the cluster's name: its kubeconfig, and from where it can be used. */
export async function writeClusterContext(lab: LabPlan, plan: KubernetesCluster): Promise<void> {
  await writeContext(lab.paths.home, {
    name: plan.cluster.name,
    kubeconfig: plan.adminKubeconfig,
    kubeContext: plan.cluster.name,
    namespace: undefined,
    networkNamespace: namespacePath(lab.routerNamespace),
  });
}

/** The words of `mesh install` for a cluster of the lab. Pure. */
export function installWords(plan: KubernetesCluster, image: string): string[] {
  const { name, id, control } = plan.cluster;
  return [
    "install",
    `--kubeconfig=${plan.adminKubeconfig}`,
    `--context=${name}`,
    `--cluster-name=${name}`,
    `--cluster-id=${id}`,
    `--image=${image}`,
    // There is no kube-proxy that would lead to the Service "kubernetes" before Tombolo does.
    `--api-server=${linkAddress(control, 4)}:${API_PORT}`,
    `--mtu=${UNDERLAY_MTU}`,
    `--timeout=${READY_LIMIT_SECONDS}`,
  ];
}

/** Resolves when the cluster's apiserver and the agents of all nodes are ready. */
export async function installTombolo(
  plan: KubernetesCluster,
  { image, signal }: { image: string; signal: AbortSignal },
): Promise<void> {
  const [program = process.execPath, ...args] = nodeArgv(MESH, installWords(plan, image));
  const namespace = namespacePath(plan.cluster.control.namespace);
  await commandOutput({ argv: inNamespace(namespace, [program, ...args]) }, signal);
}
