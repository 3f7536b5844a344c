// Service objects and their backends → service records. Pure.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { ClusterService, L4Address } from "../../mesh/core/service.ts";
import type { ServiceObject } from "../source/objects.ts";
import type { Answering } from "./backends.ts";

export function clusterServiceFromObject(
  service: ServiceObject,
  place: { cluster: ClusterIdentity; answering: Answering },
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
    backends: place.answering.backends,
    ...(place.answering.leaving.size === 0 ? {} : { leaving: place.answering.leaving }),
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
