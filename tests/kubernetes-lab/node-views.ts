// What nodes of the Kubernetes lab say of other clusters, asked as an operator asks: `mesh` on the
// cluster's context, which answers from the pod of the node's agent.
import type { AgentHealth } from "../../mesh/api/agent-messages.ts";
import type { ClusterView } from "../../mesh/commands/bpf-clusters.ts";
import type { MeshResult } from "../e2e/test-lab.ts";
import type { KubernetesTestLab } from "./kubernetes-lab.ts";
import { SYSTEM } from "./system-pods.ts";

interface NodePlace {
  readonly cluster: string;
  readonly node: string;
}

interface FamilyHealth {
  readonly family: number;
  readonly state: string;
  /** Nodes of the cluster that have answered a probe. */
  readonly answering: number;
}

/** A row an address family, in their order. */
export async function healthSeenFrom(
  lab: KubernetesTestLab,
  { peer, ...place }: NodePlace & { readonly peer: string },
): Promise<readonly FamilyHealth[]> {
  // Its status tells whether all are reached; what it has written tells more.
  const { clusters, nodes } = parse<AgentHealth>(await onNode(lab, place, ["health"]));
  return [4, 6].map((family) => ({
    family,
    state: clusters.find((row) => row.name === peer && row.family === family)?.state ?? "missing",
    answering: nodes.filter(
      (row) => row.cluster === peer && row.family === family && row.answered > 0,
    ).length,
  }));
}

/** What is drained of a cluster by the node's eBPF maps. */
export async function drainedPercent(
  lab: KubernetesTestLab,
  { clusterId, ...place }: NodePlace & { readonly clusterId: number },
): Promise<number> {
  const rows = parse<readonly ClusterView[]>(await onNode(lab, place, ["bpf", "clusters"]));
  return rows.find((row) => row.clusterId === clusterId)?.drainedPercent ?? 0;
}

/** The drains that the cluster's ConfigMap holds. */
export async function drainsOf(
  lab: KubernetesTestLab,
  cluster: string,
): Promise<readonly unknown[]> {
  const path = "jsonpath={.data.drains\\.json}";
  const get = ["get", "configmap", "tombolo-operations", "-n", SYSTEM, "-o", path];
  return (JSON.parse(await lab.kubectl(cluster, get)) as { drains: readonly unknown[] }).drains;
}

function onNode(
  lab: KubernetesTestLab,
  { cluster, node }: NodePlace,
  words: readonly string[],
): Promise<MeshResult> {
  return lab.mesh([...words, "--context", cluster, "--node", node, "--output", "json"]);
}

function parse<T>({ stdout, stderr }: MeshResult): T {
  if (stdout === "") throw new Error(`mesh has written nothing: ${stderr}`);
  return JSON.parse(stdout) as T;
}
