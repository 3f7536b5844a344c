// Kubernetes objects, whatever they were written in → the apiserver's own. One function a kind,
// pure; a wrong field throws a FieldError that knows its place.
import { parseAddress, parsePrefix, reservedAddressReason } from "../../mesh/core/address.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { NodeAddress, NodeAddressType } from "../../mesh/core/node.ts";
import type { Protocol } from "../../mesh/core/service.ts";
import type {
  ContainerPort,
  NamespaceObject,
  NodeObject,
  PodObject,
  ServiceObject,
  ServicePort,
  SliceEndpoint,
  SliceObject,
} from "./objects.ts";
import {
  parseNamespaceAnnotations,
  parseServiceAnnotations,
  type AnnotationWarning,
} from "./service-annotations.ts";
import type { Fields } from "./fields.ts";
import { metadata, namespaceName, objectName } from "./metadata.ts";

/** Called for what is wrong but has a default. */
export type Warn = (offset: number, message: string) => void;

const PORTS = { min: 1, max: 65_535 };
/** Kubernetes' own limits for `sessionAffinityConfig.clientIP.timeoutSeconds`, and its default. */
const AFFINITY_SECONDS = { min: 1, max: 86_400 };
const DEFAULT_AFFINITY_SECONDS = 10_800;
const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
const NODE_ADDRESS_TYPES: readonly string[] = ["Hostname", "InternalIP", "ExternalIP"];

export function namespaceFromFields(fields: Fields, warn: Warn): NamespaceObject {
  const meta = metadata(fields);
  const parsed = parseNamespaceAnnotations(meta.textMap("annotations"));
  warnOfAnnotations(meta, { warnings: parsed.warnings, warn });
  return {
    kind: "Namespace",
    name: objectName(meta),
    labels: meta.textMap("labels"),
    global: parsed.global,
  };
}

export function nodeFromFields(fields: Fields): NodeObject {
  const meta = metadata(fields);
  const status = fields.map("status");
  const spec = fields.map("spec");
  const listed = spec?.texts("podCIDRs", podPrefix) ?? [];
  const single = listed.length === 0 ? spec?.parsed("podCIDR", podPrefix) : undefined;
  return {
    kind: "Node",
    name: objectName(meta),
    labels: meta.textMap("labels"),
    annotations: meta.textMap("annotations"),
    addresses: (status?.maps("addresses") ?? []).flatMap(nodeAddress),
    podPrefixes: single === undefined ? listed : [single],
    bootId: status?.map("nodeInfo")?.optionalText("bootID") ?? "",
  };
}

export function podFromFields(fields: Fields): PodObject {
  const meta = metadata(fields);
  const spec = fields.map("spec");
  const status = fields.map("status");
  const phase = status?.optionalText("phase");
  const several = status?.maps("podIPs").flatMap((item) => item.parsed("ip", usableAddress) ?? []);
  const single = status?.parsed("podIP", usableAddress);
  return {
    kind: "Pod",
    namespace: namespaceName(meta),
    name: objectName(meta),
    labels: meta.textMap("labels"),
    serviceAccount: spec?.optionalText("serviceAccountName") || "default",
    nodeName: spec?.optionalText("nodeName") ?? "",
    hostNetwork: spec?.boolean("hostNetwork") ?? false,
    ips: several?.length ? several : single === undefined ? [] : [single],
    ports: podPorts(spec),
    ready: podReady(status),
    terminating: meta.has("deletionTimestamp"),
    finished: phase === "Succeeded" || phase === "Failed",
  };
}

export function serviceFromFields(fields: Fields, warn: Warn): ServiceObject | undefined {
  const meta = metadata(fields);
  const spec = fields.map("spec");
  const namespace = namespaceName(meta);
  const name = objectName(meta);
  const parsed = parseServiceAnnotations(meta.textMap("annotations"));
  if (spec?.optionalText("type") === "ExternalName") {
    if (parsed.settings.global) {
      const why = "its type ExternalName is an alias in DNS, without addresses and endpoints";
      warn(meta.offset, `Cannot share the service: ${why}`);
    }
    return undefined;
  }
  warnOfAnnotations(meta, { warnings: parsed.warnings, warn });
  return {
    kind: "Service",
    namespace,
    name,
    labels: meta.textMap("labels"),
    selector: spec?.textMap("selector") ?? new Map(),
    clusterIps: clusterIps(spec, (message) => warn(spec?.offset ?? fields.offset, message)),
    families: spec?.texts("ipFamilies", addressFamily) ?? [],
    ports: (spec?.maps("ports") ?? []).map(servicePort),
    publishNotReady: spec?.boolean("publishNotReadyAddresses") ?? false,
    settings: { ...parsed.settings, sessionAffinitySeconds: sessionAffinity(spec) },
  };
}

export function sliceFromFields(fields: Fields, warn: Warn): SliceObject | undefined {
  const meta = metadata(fields);
  const serviceName = meta.textMap("labels").get(SERVICE_NAME_LABEL);
  if (serviceName === undefined || serviceName === "") {
    warn(
      meta.offset,
      `Cannot use the slice: it names no service, want label ${SERVICE_NAME_LABEL}`,
    );
    return undefined;
  }
  if (fields.text("addressType") === "FQDN") return undefined;
  const family = fields.parsed("addressType", addressFamily);
  return {
    kind: "EndpointSlice",
    namespace: namespaceName(meta),
    name: objectName(meta),
    serviceName,
    // A port without a number means "all ports", which no balancer can use.
    ports: fields.maps("ports").flatMap((port) => containerPort(port, "port") ?? []),
    endpoints: fields.maps("endpoints").map((endpoint) => sliceEndpoint(endpoint, family)),
  };
}

function sliceEndpoint(fields: Fields, family: 4 | 6 | undefined): SliceEndpoint {
  const conditions = fields.map("conditions");
  // Absent means "unknown", which Kubernetes asks to read as ready.
  const ready = conditions?.boolean("ready") ?? true;
  return {
    addresses: fields.texts("addresses", (text) => {
      const address = usableAddress(text);
      if (address.includes(":") === (family === 6)) return address;
      throw new MeshError("invalid_argument", `want an IPv${family} address`);
    }),
    ready,
    serving: conditions?.boolean("serving") ?? ready,
    terminating: conditions?.boolean("terminating") ?? false,
  };
}

function nodeAddress(fields: Fields): NodeAddress[] {
  const type = fields.text("type");
  if (!NODE_ADDRESS_TYPES.includes(type) || type === "Hostname") return [];
  const ip = fields.parsed("address", usableAddress);
  return ip === undefined ? [] : [{ type: type as NodeAddressType, ip }];
}

function podPorts(spec: Fields | undefined): ContainerPort[] {
  // Restartable init containers ("sidecars") serve like the others.
  const containers = [...(spec?.maps("containers") ?? []), ...(spec?.maps("initContainers") ?? [])];
  return containers.flatMap((container) =>
    container.maps("ports").flatMap((port) => containerPort(port, "containerPort") ?? []),
  );
}

function containerPort(fields: Fields, field: string): ContainerPort | undefined {
  const port = fields.integer(field, PORTS);
  if (port === undefined) return undefined;
  return { name: fields.optionalText("name") ?? "", port, protocol: protocol(fields) };
}

function servicePort(fields: Fields): ServicePort {
  const port = fields.integer("port", PORTS);
  if (port === undefined) throw fields.error("port", "it is missing");
  return {
    name: fields.optionalText("name") ?? "",
    port,
    protocol: protocol(fields),
    target: fields.integerOrText("targetPort", PORTS) ?? port,
  };
}

function protocol(fields: Fields): Protocol {
  const value = fields.optionalText("protocol") ?? "TCP";
  if (value === "TCP" || value === "UDP" || value === "SCTP") return value;
  throw fields.error("protocol", 'want "TCP", "UDP" or "SCTP"');
}

/** Condition Ready where somebody writes conditions; otherwise a running pod, or one with an address. */
function podReady(status: Fields | undefined): boolean {
  if (status === undefined) return false;
  if (status.has("conditions")) {
    const ready = status.maps("conditions").find((item) => item.optionalText("type") === "Ready");
    return ready?.optionalText("status") === "True";
  }
  return (status.optionalText("phase") ?? "Running") === "Running";
}

function clusterIps(spec: Fields | undefined, warn: (message: string) => void): string[] {
  const single = spec?.optionalText("clusterIP");
  if (single === "None") return [];
  const several = spec?.texts("clusterIPs", (text) => text) ?? [];
  if (several[0] === "None") return [];
  const ips = spec?.texts("clusterIPs", usableAddress) ?? [];
  const first = spec?.parsed("clusterIP", usableAddress);
  if (ips.length > 0) return ips;
  if (first !== undefined) return [first];
  warn('Cannot balance the service: it has no clusterIP, want one (or "None" for a headless one)');
  return [];
}

function sessionAffinity(spec: Fields | undefined): number {
  const value = spec?.optionalText("sessionAffinity") ?? "None";
  if (value === "None") return 0;
  if (value !== "ClientIP") {
    throw spec?.error("sessionAffinity", 'want "None" or "ClientIP"') ?? new Error("unreachable");
  }
  const config = spec?.map("sessionAffinityConfig")?.map("clientIP");
  return config?.integer("timeoutSeconds", AFFINITY_SECONDS) ?? DEFAULT_AFFINITY_SECONDS;
}

function warnOfAnnotations(
  meta: Fields,
  found: { warnings: readonly AnnotationWarning[]; warn: Warn },
): void {
  const annotations = meta.map("annotations");
  for (const { annotation, message } of found.warnings) {
    found.warn(annotations?.offsetOf(annotation) ?? meta.offset, message);
  }
}

function podPrefix(text: string): string {
  return parsePrefix(text).text;
}

function usableAddress(text: string): string {
  const address = parseAddress(text);
  const reason = reservedAddressReason(address);
  if (reason === undefined) return address.text;
  throw new MeshError("invalid_argument", `${address.text} is a ${reason} address`);
}

function addressFamily(text: string): 4 | 6 {
  if (text === "IPv4") return 4;
  if (text === "IPv6") return 6;
  throw new MeshError("invalid_argument", 'want "IPv4" or "IPv6"');
}
