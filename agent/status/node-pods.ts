// The pods of this node, as far as anybody has told: those with an interface, and those that are
// only bound to it so far.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import { identifyEndpoint, podAtAddress } from "../desired/identify-endpoint.ts";
import type { LocalEndpoint } from "../endpoints/local-endpoints.ts";
import type { PolicyReportParts } from "./policy-parts.ts";

export interface NodePod {
  readonly namespace: string;
  readonly name: string;
  /** 0 while unknown. */
  readonly identity: IdentityNumber;
  /** Undefined before it has an interface. */
  readonly endpoint: LocalEndpoint | undefined;
  /** The same for pods that have their policy in common: identity and named ports. */
  readonly profile: string;
}

export type NodePodsParts = Pick<PolicyReportParts, "intent" | "endpoints" | "engine">;

/** By namespace and name; a pod with more interfaces stands there more than once. */
export function nodePods({ intent, endpoints, engine }: NodePodsParts): NodePod[] {
  const pods: NodePod[] = [];
  const seen = new Set<string>();
  for (const [key, endpoint] of endpoints.entries()) {
    const pod = podName(endpoint, intent);
    seen.add(pod);
    const known = identifyEndpoint(endpoint, intent.own);
    const identity = engine.stateOf(key)?.identity ?? known?.identity ?? 0;
    const profile = JSON.stringify([identity, known?.namedPorts]);
    pods.push({ ...namesFrom(pod, key), identity, endpoint, profile });
  }
  for (const [pod, { namespace, name, identity }] of intent.own.pods.entries()) {
    if (seen.has(pod)) continue;
    pods.push({ namespace, name, identity, endpoint: undefined, profile: "" });
  }
  return pods.sort((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
}

/** `namespace/name`, by its address where the runtime does not tell; "" if nobody has told. */
function podName({ pod, addresses }: LocalEndpoint, { own }: NodePodsParts["intent"]): string {
  if (pod !== "") return pod;
  for (const address of addresses) {
    const [found] = podAtAddress(own.endpoints.get(address));
    if (found !== undefined) return found;
  }
  return "";
}

/** A pod that nobody names is shown as the runtime's container. */
function namesFrom(pod: string, key: string): Pick<NodePod, "namespace" | "name"> {
  const slash = pod.indexOf("/");
  if (slash < 0) return { namespace: "", name: pod === "" ? key : pod };
  return { namespace: pod.slice(0, slash), name: pod.slice(slash + 1) };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
