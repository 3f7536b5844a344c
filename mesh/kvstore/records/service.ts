// Services as a cluster exports them (reference §1.3).
import type { ClusterIdentity } from "../../core/cluster.ts";
import {
  serviceKey,
  type AddressPorts,
  type ClusterService,
  type L4Address,
  type NamedPorts,
  type Protocol,
} from "../../core/service.ts";
import {
  LABEL_KEY,
  LABEL_VALUE,
  NAMESPACE_NAME,
  PORT_NAME,
  SERVICE_NAME,
} from "./kubernetes-names.ts";
import { openRecord, refusal, type RecordFields } from "./record-fields.ts";

/** Ten times what Kubernetes recommends for one service (1,000 endpoints is its tested scale). */
export const SERVICE_MAX_BACKENDS = 10_000;
/** A service has one ClusterIP a family; a few more are room for what comes. */
export const SERVICE_MAX_FRONTENDS = 16;
/** Kubernetes allows 100 ports in an EndpointSlice, and so in what we read here. */
export const SERVICE_MAX_PORTS = 128;
/** Kubernetes bounds labels only by an object's size; real services have a dozen. */
export const SERVICE_MAX_LABELS = 256;

const PROTOCOLS: readonly Protocol[] = ["TCP", "UDP", "SCTP"];
const PORT = { min: 1, max: 65_535 } as const;

/** The tail of the record's key: `namespace/name`. */
export function serviceName(service: ClusterService): string {
  return serviceKey(service);
}

export function encodeService(service: ClusterService): Buffer {
  return Buffer.from(JSON.stringify(jsonFromService(service)));
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseService(
  name: string,
  value: Buffer,
  cluster: ClusterIdentity,
): ClusterService {
  return serviceFromFields(openRecord({ kind: "service", name }, value), cluster);
}

/** The wire's JSON object, for records that hold a service as a part. */
export function jsonFromService(service: ClusterService): Record<string, unknown> {
  return {
    cluster: service.cluster,
    namespace: service.namespace,
    name: service.name,
    frontends: jsonFromAddressPorts(service.frontends),
    backends: jsonFromAddressPorts(service.backends),
    labels: Object.fromEntries(service.labels),
    selector: Object.fromEntries(service.selector),
    includeExternal: service.includeExternal,
    shared: service.shared,
    clusterID: service.clusterId,
    // Tombolo's own; others read past it.
    ...(service.leaving === undefined ? {} : { leaving: jsonFromAddressPorts(service.leaving) }),
  };
}

/** The record's name must be the service's `namespace/name`. */
export function serviceFromFields(fields: RecordFields, cluster: ClusterIdentity): ClusterService {
  const namespace = fields.text("namespace", NAMESPACE_NAME);
  const name = fields.text("name", SERVICE_NAME);
  if (`${namespace}/${name}` !== fields.subject.name) {
    throw refusal(
      fields.subject,
      `fields "namespace" and "name" say ${namespace}/${name}, want what the key says`,
    );
  }
  fields.exactly("cluster", cluster.name);
  fields.exactly("clusterID", cluster.id);
  const labelRules = { maxEntries: SERVICE_MAX_LABELS, key: LABEL_KEY, value: LABEL_VALUE };
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    namespace,
    name,
    frontends: addressPorts(fields, { field: "frontends", maxEntries: SERVICE_MAX_FRONTENDS }),
    backends: addressPorts(fields, { field: "backends", maxEntries: SERVICE_MAX_BACKENDS }),
    ...(fields.has("leaving")
      ? { leaving: addressPorts(fields, { field: "leaving", maxEntries: SERVICE_MAX_BACKENDS }) }
      : {}),
    labels: fields.textMap("labels", labelRules),
    selector: fields.textMap("selector", labelRules),
    includeExternal: fields.flag("includeExternal"),
    shared: fields.flag("shared"),
  };
}

function addressPorts(
  fields: RecordFields,
  source: { field: string; maxEntries: number },
): AddressPorts {
  return fields.addressMap(source.field, { maxEntries: source.maxEntries, value: namedPorts });
}

function namedPorts(fields: RecordFields): NamedPorts {
  const ports = new Map<string, L4Address>();
  for (const name of fields.keys(SERVICE_MAX_PORTS)) {
    fields.checkKey(name, PORT_NAME);
    const port = fields.object(name);
    ports.set(name, {
      protocol: port.choice("Protocol", PROTOCOLS),
      port: port.integer("Port", PORT),
    });
  }
  return ports;
}

function jsonFromAddressPorts(addresses: AddressPorts): Record<string, unknown> {
  const encodePorts = (ports: NamedPorts): Record<string, unknown> =>
    Object.fromEntries(
      [...ports].map(([name, { protocol, port }]) => [name, { Protocol: protocol, Port: port }]),
    );
  return Object.fromEntries([...addresses].map(([ip, ports]) => [ip, encodePorts(ports)]));
}
