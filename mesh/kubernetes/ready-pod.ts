// Finding the pod to talk to: by its labels, one that is ready, on a certain node if one is named.
import { MeshError } from "../core/errors.ts";
import { listObjects } from "./objects.ts";
import type { KubernetesTransport } from "./transport.ts";
import type { ApiObject } from "./watch-state.ts";

/** As much of a Pod as finding it takes. */
interface PodObject extends ApiObject {
  readonly metadata: ApiObject["metadata"] & { readonly deletionTimestamp?: string };
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface FoundPod {
  readonly name: string;
  readonly node: string;
}

export interface PodQuery {
  readonly namespace: string;
  /** "app.kubernetes.io/name=…". */
  readonly labelSelector: string;
  /** The pod on this node only. */
  readonly node?: string | undefined;
  /** How messages name it: "the apiserver". */
  readonly what: string;
}

/**
 * A ready pod, or else one that runs: what is asked of it may be why it is not ready. Throws
 * `not_found` or `unavailable` with what there is instead.
 */
export async function findPod(
  transport: KubernetesTransport,
  query: PodQuery,
  signal: AbortSignal,
): Promise<FoundPod> {
  const { namespace, labelSelector, node, what } = query;
  const selectors = new URLSearchParams({ labelSelector });
  if (node !== undefined) selectors.set("fieldSelector", `spec.nodeName=${node}`);
  const path = `/api/v1/namespaces/${namespace}/pods?${selectors.toString()}`;
  const pods = await listObjects<PodObject>(transport, path, signal);
  const where = node === undefined ? "" : ` on node "${node}"`;
  if (pods.length === 0) {
    throw new MeshError(
      "not_found",
      `Cannot find a pod of ${what}${where}: there is none with ${labelSelector} in namespace "${namespace}"`,
      { hint: "is Tombolo installed there? --namespace names another namespace" },
    );
  }
  const running = pods.filter((pod) => pod.status?.phase === "Running" && !isEnding(pod));
  const pod = running.find(isReady) ?? running[0];
  if (pod !== undefined) return { name: pod.metadata.name, node: pod.spec?.nodeName ?? "" };
  const states = pods.map(
    (other) =>
      `"${other.metadata.name}" is ${isEnding(other) ? "ending" : (other.status?.phase ?? "new")}`,
  );
  throw new MeshError(
    "unavailable",
    `Cannot ask ${what}${where}: no pod of it runs: ${states.join(", ")}`,
    { hint: `see why: kubectl -n ${namespace} describe pods -l ${labelSelector}` },
  );
}

function isEnding({ metadata }: PodObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function isReady({ status }: PodObject): boolean {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  return ready?.status === "True";
}
