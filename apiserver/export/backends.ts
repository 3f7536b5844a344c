// Who answers for a service: ready endpoints by address, each with its named ports. Pure.
// EndpointSlices decide where there are any; otherwise the pods that the selector chooses do.
import type { AddressPorts, L4Address, NamedPorts } from "../../mesh/core/service.ts";
import type { PodObject, ServiceObject, SliceObject } from "../source/objects.ts";

/** Ready endpoints; if there is none, those that are going away but still serve. */
export function backendsFromSlices(
  service: ServiceObject,
  slices: readonly SliceObject[],
): AddressPorts {
  const all = slices.flatMap((slice) =>
    slice.endpoints.map((endpoint) => ({ endpoint, ports: portsOfSlice(slice) })),
  );
  const ready = all.filter(({ endpoint }) => service.publishNotReady || endpoint.ready);
  const leaving = all.filter(({ endpoint }) => endpoint.terminating && endpoint.serving);
  const backends = new Map<string, Map<string, L4Address>>();
  for (const { endpoint, ports } of ready.length > 0 ? ready : leaving) {
    for (const address of endpoint.addresses) addPorts(backends, { address, ports });
  }
  return backends;
}

/** `addressesOf` gives a pod's addresses: its own, or its node's under hostNetwork. */
export function backendsFromPods(
  service: ServiceObject,
  pods: readonly PodObject[],
  addressesOf: (pod: PodObject) => readonly string[],
): AddressPorts {
  const alive = pods.filter((pod) => !pod.finished);
  const ready = alive.filter((pod) => service.publishNotReady || (pod.ready && !pod.terminating));
  const leaving = alive.filter((pod) => pod.ready && pod.terminating);
  const families = familiesOf(service);
  const backends = new Map<string, Map<string, L4Address>>();
  for (const pod of ready.length > 0 ? ready : leaving) {
    const ports = portsOfPod(service, pod);
    if (ports.size === 0 && service.ports.length > 0) continue;
    for (const address of addressesOf(pod)) {
      if (families.includes(familyOf(address))) addPorts(backends, { address, ports });
    }
  }
  return backends;
}

function portsOfSlice(slice: SliceObject): NamedPorts {
  return new Map(slice.ports.map(({ name, port, protocol }) => [name, { port, protocol }]));
}

/** A port whose target name the pod does not have is not served by this pod. */
function portsOfPod(service: ServiceObject, pod: PodObject): NamedPorts {
  const ports = new Map<string, L4Address>();
  for (const { name, target, protocol } of service.ports) {
    const port =
      typeof target === "number"
        ? target
        : pod.ports.find((item) => item.name === target && item.protocol === protocol)?.port;
    if (port !== undefined) ports.set(name, { port, protocol });
  }
  return ports;
}

function familiesOf(service: ServiceObject): readonly (4 | 6)[] {
  if (service.families.length > 0) return service.families;
  if (service.clusterIps.length > 0) return service.clusterIps.map(familyOf);
  return [4, 6];
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

function addPorts(
  backends: Map<string, Map<string, L4Address>>,
  added: { address: string; ports: NamedPorts },
): void {
  const ports = backends.get(added.address) ?? new Map<string, L4Address>();
  for (const [name, port] of added.ports) ports.set(name, port);
  backends.set(added.address, ports);
}
