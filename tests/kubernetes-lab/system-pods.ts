// Tombolo's own pods in a cluster of the Kubernetes lab, and the processes behind them.
import { CONTAINERD_SOCKET } from "../../deploy/lab/kubernetes/plan.ts";
import type { KubernetesTestLab } from "./kubernetes-lab.ts";

export const SYSTEM = "tombolo-system";

interface SystemPod {
  readonly metadata: { readonly name: string; readonly creationTimestamp: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly conditions: readonly { readonly type: string; readonly lastTransitionTime: string }[];
    readonly containerStatuses: readonly {
      readonly name: string;
      readonly ready: boolean;
      readonly containerID?: string;
    }[];
  };
}

export interface SystemContainer {
  readonly cluster: string;
  /** "node1" */
  readonly node: string;
  readonly id: string;
  readonly ready: boolean;
}

/** Names of the nodes whose agents are ready. */
export async function agentNodes(lab: KubernetesTestLab, cluster: string): Promise<string[]> {
  const pods = await systemPods(lab, { cluster, name: "tombolo-agent" });
  return pods
    .filter(({ status }) => status.containerStatuses.every(({ ready }) => ready))
    .map(({ spec }) => spec.nodeName)
    .sort();
}

/** In the order in which they were made. Times are whole seconds, as Kubernetes has them. */
export async function agentPods(
  lab: KubernetesTestLab,
  cluster: string,
): Promise<{ name: string; createdMs: number; readyMs: number }[]> {
  const pods = await systemPods(lab, { cluster, name: "tombolo-agent" });
  return pods
    .map(({ metadata, status }) => {
      const ready = status.conditions.find(({ type }) => type === "Ready");
      return {
        name: metadata.name,
        createdMs: Date.parse(metadata.creationTimestamp),
        readyMs: Date.parse(ready?.lastTransitionTime ?? ""),
      };
    })
    .sort((a, b) => a.createdMs - b.createdMs);
}

/** One container of each pod of a workload. */
export async function containersOf(
  lab: KubernetesTestLab,
  which: { readonly cluster: string; readonly pod: string; readonly container: string },
): Promise<SystemContainer[]> {
  const { cluster, pod, container } = which;
  return (await systemPods(lab, { cluster, name: pod })).flatMap(({ spec, status }) =>
    status.containerStatuses
      .filter(({ name }) => name === container)
      .map(({ containerID = "", ready }) => ({
        cluster,
        node: spec.nodeName.replace(`${cluster}-`, ""),
        id: containerID.replace("containerd://", ""),
        ready,
      })),
  );
}

/** Of the container's first process, as this machine counts. */
export async function pidOf(
  lab: KubernetesTestLab,
  { id, ...place }: SystemContainer,
): Promise<number> {
  const ctr = ["ctr", `--address=${CONTAINERD_SOCKET}`, "--namespace=k8s.io"] as const;
  const list = await lab.onNode(place, [...ctr, "tasks", "list"]);
  const pid = list
    .split("\n")
    .map((line) => line.split(/\s+/))
    .find(([task]) => task === id)?.[1];
  if (pid === undefined) throw new Error(`No task "${id}" runs on ${place.node}`);
  return Number(pid);
}

async function systemPods(
  lab: KubernetesTestLab,
  { cluster, name }: { readonly cluster: string; readonly name: string },
): Promise<readonly SystemPod[]> {
  const words = ["get", "pods", "-n", SYSTEM, "-l", `app.kubernetes.io/name=${name}`, "-o", "json"];
  return (JSON.parse(await lab.kubectl(cluster, words)) as { items: SystemPod[] }).items;
}
