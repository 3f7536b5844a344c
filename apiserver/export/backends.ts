// Who answers for a service: endpoints by address, each with its named ports. Pure. Those that are
// going away but still serve (KEP-1669) stand apart: whether anybody ready is left for a port is
// seen only by who knows all clusters.
// EndpointSlices decide where there are any; otherwise the pods that the selector chooses do.
import type { AddressPorts, L4Address, NamedPorts } from "../../mesh/core/service.ts";
import type {
  ContainerPort,
  PodObject,
  ServiceObject,
  SliceEndpoint,
  SliceObject,
} from "../source/objects.ts";

export interface Answering {
  /** Ready endpoints. */
  readonly backends: AddressPorts;
  /** Those that are going away but still serve, of ports that have no ready one here. */
  readonly leaving: AddressPorts;
}

/**
 * Ports are decided one by one, because pods that name them differently stand in other slices.
 */
export function backendsFromSlices(
  service: ServiceObject,
  slices: readonly SliceObject[],
): Answering {
  const served = new Map<string, { ready: SlicePort[]; leaving: SlicePort[] }>();
  for (const slice of slices) {
    for (const port of portsOrNone(slice)) {
      const name = port?.name ?? "";
      const found = served.get(name) ?? { ready: [], leaving: [] };
      served.set(name, found);
      for (const endpoint of slice.endpoints) {
        const { ready, serving, terminating } = endpoint;
        if (service.publishNotReady || ready) found.ready.push({ endpoint, port });
        else if (terminating && serving) found.leaving.push({ endpoint, port });
      }
    }
  }
  const [backends, leaving]: [Backends, Backends] = [new Map(), new Map()];
  for (const found of served.values()) {
    const [target, chosen] =
      found.ready.length > 0 ? [backends, found.ready] : [leaving, found.leaving];
    for (const { endpoint, port } of chosen) {
      for (const address of endpoint.addresses) addPorts(target, { address, ports: named(port) });
    }
  }
  return { backends, leaving };
}

interface SlicePort {
  readonly endpoint: SliceEndpoint;
  readonly port: ContainerPort | undefined;
}

/** A headless service may have endpoints without any port. */
function portsOrNone({ ports }: SliceObject): readonly (ContainerPort | undefined)[] {
  return ports.length > 0 ? ports : [undefined];
}

function named(port: ContainerPort | undefined): NamedPorts {
  if (port === undefined) return new Map();
  return new Map([[port.name, { port: port.port, protocol: port.protocol }]]);
}

/** `addressesOf` gives a pod's addresses: its own, or its node's under hostNetwork. */
export function backendsFromPods(
  service: ServiceObject,
  pods: readonly PodObject[],
  addressesOf: (pod: PodObject) => readonly string[],
): Answering {
  const alive = pods.filter((pod) => !pod.finished);
  const ready = alive.filter((pod) => service.publishNotReady || (pod.ready && !pod.terminating));
  const leaving = alive.filter((pod) => pod.ready && pod.terminating);
  const families = familiesOf(service);
  const backends: Backends = new Map();
  for (const pod of ready.length > 0 ? ready : leaving) {
    const ports = portsOfPod(service, pod);
    if (ports.size === 0 && service.ports.length > 0) continue;
    for (const address of addressesOf(pod)) {
      if (families.includes(familyOf(address))) addPorts(backends, { address, ports });
    }
  }
  return ready.length > 0
    ? { backends, leaving: new Map() }
    : { backends: new Map(), leaving: backends };
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

type Backends = Map<string, Map<string, L4Address>>;

function addPorts(backends: Backends, added: { address: string; ports: NamedPorts }): void {
  const ports = backends.get(added.address) ?? new Map<string, L4Address>();
  for (const [name, port] of added.ports) ports.set(name, port);
  backends.set(added.address, ports);
}
