// The pods that lose their network with Tombolo, told before it is taken away.
import { listObjects } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import { enumerate } from "./preflight.ts";

export interface NetworkedPod extends ApiObject {
  readonly spec?: { readonly hostNetwork?: boolean; readonly nodeName?: string };
  readonly status?: { readonly phase?: string };
}

export async function remarkPods(
  transport: KubernetesTransport,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const remark = describePods(await listObjects<NetworkedPod>(transport, "/api/v1/pods", signal));
  if (remark !== undefined) say(remark);
}

/**
 * Undefined if there are none. A runtime without a plugin cannot end a pod's sandbox: such pods
 * stay "Terminating" until the next plugin is there.
 */
export function describePods(pods: readonly NetworkedPod[]): string | undefined {
  const names = pods
    .filter(({ spec, status }) => spec?.hostNetwork !== true && isOnNode(spec, status))
    .map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`);
  if (names.length === 0) return undefined;
  const [verb, them] = names.length === 1 ? ["pod loses", "it ends"] : ["pods lose", "they end"];
  return `${names.length} ${verb} the network (${enumerate(names)}); once deleted, ${them} when another plugin is there`;
}

function isOnNode(spec: NetworkedPod["spec"], status: NetworkedPod["status"]): boolean {
  const isOver = ["Succeeded", "Failed"].includes(status?.phase ?? "");
  return spec?.nodeName !== undefined && !isOver;
}
