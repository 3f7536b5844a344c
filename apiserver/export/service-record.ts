// Service objects and their backends → service records. Pure.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { AddressPorts, ClusterService, L4Address } from "../../mesh/core/service.ts";
import type { ServiceObject } from "../source/objects.ts";

export function clusterServiceFromObject(
  service: ServiceObject,
  place: { cluster: ClusterIdentity; backends: AddressPorts },
): ClusterService {
  const ports = new Map<string, L4Address>(
    service.ports.map(({ name, port, protocol }) => [name, { port, protocol }]),
  );
  return {
    cluster: place.cluster.name,
    clusterId: place.cluster.id,
    namespace: service.namespace,
    name: service.name,
    frontends: new Map(service.clusterIps.map((ip) => [ip, ports])),
    backends: place.backends,
    labels: service.labels,
    selector: service.selector,
    includeExternal: service.settings.global,
    shared: service.settings.shared,
  };
}

/** Only what is both global and shared leaves the cluster (reference §1.3). */
export function isExported(service: ServiceObject): boolean {
  return service.settings.global && service.settings.shared;
}
