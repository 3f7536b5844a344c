// Pod objects → endpoint records, one an address. Pure. Node addresses are not among them: like
// Cilium's, readers learn them from the node records.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { EndpointAddress } from "../../mesh/core/node.ts";
import { ENDPOINT_MAX_NAMED_PORTS } from "../../mesh/kvstore/records/endpoint.ts";
import type { PodObject } from "../source/objects.ts";

/** Whether the pod has addresses of its own that lead to it. */
export function hasOwnAddresses(pod: PodObject): boolean {
  return !pod.hostNetwork && !pod.finished && pod.ips.length > 0;
}

export function endpointsFromPod(
  pod: PodObject,
  place: { identity: IdentityNumber; hostIp: string },
): EndpointAddress[] {
  const namedPorts = pod.ports
    .filter(({ name }) => name !== "")
    .slice(0, ENDPOINT_MAX_NAMED_PORTS)
    .map(({ name, port, protocol }) => ({ name, port, protocol }));
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
