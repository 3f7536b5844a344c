// Pod objects → endpoint records, one an address, and the pod's record for its node's agent.
// Pure. Node addresses are not among them: like Cilium's, readers learn them from the node records.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { EndpointAddress } from "../../mesh/core/node.ts";
import { ENDPOINT_MAX_NAMED_PORTS } from "../../mesh/kvstore/records/endpoint.ts";
import type { LocalPod, NamedPort } from "../../mesh/kvstore/records/pod.ts";
import type { PodObject } from "../source/objects.ts";

/** Whether the pod has addresses of its own that lead to it. */
export function hasOwnAddresses(pod: PodObject): boolean {
  return !pod.hostNetwork && !pod.finished && pod.ips.length > 0;
}

/** Whether an agent has to know of it, with an address or before it has one. */
export function isBoundToNode(pod: PodObject): boolean {
  return !pod.hostNetwork && !pod.finished && pod.nodeName !== "";
}

export function localPodFromPod(pod: PodObject, identity: IdentityNumber): LocalPod {
  const { namespace, name } = pod;
  return { namespace, name, identity, namedPorts: namedPortsOf(pod) };
}

export function endpointsFromPod(
  pod: PodObject,
  place: { identity: IdentityNumber; hostIp: string },
): EndpointAddress[] {
  const namedPorts = namedPortsOf(pod);
  return pod.ips.map((ip) => ({
    prefix: ip,
    hostIp: place.hostIp,
    identity: place.identity,
    encryptionKey: 0,
    namespace: pod.namespace,
    podName: pod.name,
    serviceAccount: pod.serviceAccount,
    namedPorts,
  }));
}

function namedPortsOf(pod: PodObject): NamedPort[] {
  return pod.ports
    .filter(({ name }) => name !== "")
    .slice(0, ENDPOINT_MAX_NAMED_PORTS)
    .map(({ name, port, protocol }) => ({ name, port, protocol }));
}
