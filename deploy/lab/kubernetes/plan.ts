// Where everything of a Kubernetes cluster of the lab stands: ports, files, cgroups and mount
// namespaces, made from the lab's topology (../plan.ts). Pure: nothing here looks at the machine.
//
//   east-control   etcd ◄── kube-apiserver ◄── kube-controller-manager, kube-scheduler
//                                ▲
//   east-node1     kubelet ──────┘   containerd ── pods     network and mount namespace of its own
import { join } from "node:path";
import { addressInPrefix, parsePrefix } from "../../../mesh/core/address.ts";
import { MeshError } from "../../../mesh/core/errors.ts";
import { findCluster, linkAddress } from "../plan.ts";
import type { LabCluster, LabMember, LabNode, LabPlan } from "../plan.ts";

export const API_PORT = 6443;
/** Nobody else lives in the control namespace, so etcd needs no more than its loopback. */
export const ETCD_PORT = 2379;
export const ETCD_PEER_PORT = 2380;
/** What a node calls the socket of its runtime, inside its own /run. */
export const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";
/** Above every version that the lab was seen with: enough for 32 nodes a cluster. */
const NODE_MASK_IPV4 = 24;
const NODE_MASK_IPV6 = 64;

export interface KubernetesCluster {
  readonly cluster: LabCluster;
  readonly directory: string;
  readonly pki: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
  readonly kubeletClientCertificate: string;
  readonly kubeletClientKey: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  readonly tokens: string;
  readonly etcdData: string;
  readonly adminKubeconfig: string;
  readonly controllerManagerKubeconfig: string;
  readonly schedulerKubeconfig: string;
  /** "https://198.18.1.2:6443": as nodes, pods and operators reach it. */
  readonly server: string;
  readonly podPrefixes: readonly string[];
  readonly nodeMasks: readonly number[];
  readonly nodes: readonly KubernetesNode[];
}

export interface KubernetesNode {
  readonly node: LabNode;
  /** File on which the node's mount namespace is pinned. */
  readonly mountNamespace: string;
  /** Below the root of each cgroup v1 hierarchy; what the node takes for the root. */
  readonly cgroupV1: string;
  /** On disk: what the node sees as its own file systems (mounts.ts). */
  readonly disk: string;
  readonly containerdConfig: string;
  readonly kubeletConfig: string;
  readonly kubeletKubeconfig: string;
}

export function planKubernetes(plan: LabPlan): KubernetesCluster[] {
  return plan.members.map((cluster) => planCluster(plan, cluster));
}

/** Throws `not_found` with the names there are, `unsupported` in a lab of manifests. */
export function findKubernetesCluster(plan: LabPlan, name: string): KubernetesCluster {
  const cluster = findCluster(plan, name);
  if (plan.kubernetes !== undefined) return planCluster(plan, cluster);
  throw new MeshError(
    "unsupported",
    `Cannot run kubectl on "${name}": lab "${plan.name}" is one of manifests`,
    { hint: "`mesh lab up --source kubernetes --name NAME` makes another one" },
  );
}

/** Undefined for what is no node of a Kubernetes cluster. */
export function findKubernetesNode(plan: LabPlan, member: LabMember): KubernetesNode | undefined {
  if (plan.kubernetes === undefined) return undefined;
  const nodes = planKubernetes(plan).flatMap((cluster) => cluster.nodes);
  return nodes.find(({ node }) => node.name === member.name);
}

/** The private mount that holds the pins of the nodes' mount namespaces. */
export function mountNamespaceDirectory(paths: { readonly runtime: string }): string {
  return join(paths.runtime, "mnt");
}

/** The address of the Service "kubernetes": the first one of the range. */
export function kubernetesServiceAddresses(cluster: LabCluster): string[] {
  return cluster.servicePrefixes.map((prefix) => addressInPrefix(parsePrefix(prefix), 1n).text);
}

function planCluster(plan: LabPlan, cluster: LabCluster): KubernetesCluster {
  const directory = join(cluster.directory, "kubernetes");
  const pki = join(directory, "pki");
  const id = cluster.id.toString(16);
  return {
    cluster,
    directory,
    pki,
    serverCertificate: join(pki, "kube-apiserver.crt"),
    serverKey: join(pki, "kube-apiserver.key"),
    kubeletClientCertificate: join(pki, "kubelet-client.crt"),
    kubeletClientKey: join(pki, "kubelet-client.key"),
    serviceAccountKey: join(pki, "service-accounts.key"),
    serviceAccountPublicKey: join(pki, "service-accounts.pub"),
    tokens: join(pki, "tokens.csv"),
    etcdData: join(directory, "etcd"),
    adminKubeconfig: join(directory, "admin.kubeconfig"),
    controllerManagerKubeconfig: join(directory, "controller-manager.kubeconfig"),
    schedulerKubeconfig: join(directory, "scheduler.kubeconfig"),
    server: `https://${linkAddress(cluster.control, 4)}:${API_PORT}`,
    podPrefixes: [`10.${cluster.id}.0.0/16`, parsePrefix(`fd00:10:${id}::/48`).text],
    nodeMasks: [NODE_MASK_IPV4, NODE_MASK_IPV6],
    nodes: cluster.nodes.map((node) => planNode(plan, node)),
  };
}

function planNode(plan: LabPlan, node: LabNode): KubernetesNode {
  const disk = join(node.directory, "disk");
  return {
    node,
    mountNamespace: join(mountNamespaceDirectory(plan.paths), node.name),
    cgroupV1: `${plan.namespacePrefix}${node.name}`,
    disk,
    containerdConfig: join(node.directory, "containerd.toml"),
    kubeletConfig: join(node.directory, "kubelet.json"),
    kubeletKubeconfig: join(node.directory, "kubelet.kubeconfig"),
  };
}
