// What of a lab lives: its clusters, daemons and pods as rows, with the sockets and directories
// by which to reach them. Looks only; the daemons' own state is told by the daemons.
import { labComponents } from "./kubernetes/clusters.ts";
import { planKubernetes } from "./kubernetes/plan.ts";
import { namespaceExists } from "./namespaces.ts";
import { labDaemons } from "./daemons.ts";
import { linkAddress } from "./plan.ts";
import { listPods } from "./pods.ts";
import type { PodHost, PodStatus } from "./pods.ts";
import { findAliveProcess } from "./processes.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";

export interface LabStatus {
  readonly name: string;
  readonly directory: string;
  readonly clusters: readonly ClusterStatus[];
  readonly processes: readonly ProcessStatus[];
  readonly pods: readonly PodStatus[];
}

export interface ClusterStatus {
  readonly name: string;
  readonly id: number;
  readonly directory: string;
  /** Of clusters of manifests. */
  readonly apiserverSocket: string;
  /** Of Kubernetes' clusters: its administrator's, good where the cluster is reachable. */
  readonly kubeconfig: string | undefined;
  readonly nodes: readonly NodeStatus[];
}

export interface NodeStatus {
  readonly name: string;
  readonly namespace: string;
  readonly namespaceExists: boolean;
  readonly addresses: readonly string[];
  readonly podPrefixes: readonly string[];
  readonly socket: string;
}

export interface ProcessStatus {
  readonly name: string;
  /** Undefined for one that does not run. */
  readonly pid: number | undefined;
  readonly namespace: string;
  readonly logFile: string;
}

export async function readLabStatus(host: PodHost): Promise<LabStatus> {
  const { plan, cgroupRoot } = host;
  const kubernetes = plan.kubernetes === undefined ? [] : planKubernetes(plan);
  const specs =
    plan.kubernetes === undefined ? labDaemons(plan, cgroupRoot) : labComponents(plan, cgroupRoot);
  const processes = await Promise.all(
    specs.map(async (spec) => {
      const { name, namespace, logFile } = spec;
      const pid = (await findAliveProcess(spec))?.pid;
      return { name, pid, namespace, logFile };
    }),
  );
  const clusters = await Promise.all(
    plan.members.map(async ({ name, id, directory, nodes }) => ({
      name,
      id,
      directory,
      apiserverSocket: clusterPaths(directory).apiserverSocket,
      kubeconfig: kubernetes.find(({ cluster }) => cluster.name === name)?.adminKubeconfig,
      nodes: await Promise.all(
        nodes.map(async (node) => ({
          name: node.name,
          namespace: node.namespace,
          namespaceExists: await namespaceExists(node.namespace),
          addresses: [linkAddress(node, 4), linkAddress(node, 6)],
          // Kubernetes allots its nodes' prefixes itself.
          podPrefixes: plan.kubernetes === undefined ? node.podPrefixes : [],
          socket: node.socket,
        })),
      ),
    })),
  );
  const pods = await listPods(host);
  return { name: plan.name, directory: plan.paths.root, clusters, processes, pods };
}

/** Whether everything that should run does. */
export function isLabWhole(status: LabStatus): boolean {
  return (
    status.processes.every(({ pid }) => pid !== undefined) &&
    status.pods.every(({ running }) => running) &&
    status.clusters.every(({ nodes }) => nodes.every((node) => node.namespaceExists))
  );
}
