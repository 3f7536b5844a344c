// Endpoint addresses: one address or prefix and the identity behind it (reference §1.5).
import type { ClusterIdentity } from "../../core/cluster.ts";
import {
  FIRST_ORDINARY_IDENTITY,
  identityRange,
  RESERVED_IDENTITY,
  type IdentityNumber,
} from "../../core/identity.ts";
import { parsePrefix } from "../../core/address.ts";
import type { EndpointAddress } from "../../core/node.ts";
import { encodeMask, prefixFromFields } from "./ip-net.ts";
import { NAMESPACE_NAME, POD_NAME, PORT_NAME, SERVICE_ACCOUNT_NAME } from "./kubernetes-names.ts";
import { openRecord, refusal, type RecordFields, type TextRule } from "./record-fields.ts";

/** Kubernetes sets no bound; a pod with more named ports than this is not one. */
export const ENDPOINT_MAX_NAMED_PORTS = 256;

const OPTIONAL_NAMESPACE: TextRule = { ...NAMESPACE_NAME, optional: true };
const OPTIONAL_POD: TextRule = { ...POD_NAME, optional: true };
const OPTIONAL_SERVICE_ACCOUNT: TextRule = { ...SERVICE_ACCOUNT_NAME, optional: true };
const PROTOCOLS = ["TCP", "UDP", "SCTP", "ANY"] as const;
const PORT = { min: 1, max: 65_535 } as const;

/** The tail of the record's key. */
export function endpointName(endpoint: EndpointAddress): string {
  return endpoint.prefix;
}

export function encodeEndpoint(endpoint: EndpointAddress): Buffer {
  const slash = endpoint.prefix.indexOf("/");
  return Buffer.from(
    JSON.stringify({
      IP: slash < 0 ? endpoint.prefix : endpoint.prefix.slice(0, slash),
      Mask: slash < 0 ? null : encodeMask(parsePrefix(endpoint.prefix)),
      HostIP: endpoint.hostIp,
      ID: endpoint.identity,
      Key: endpoint.encryptionKey,
      Metadata: "",
      K8sNamespace: endpoint.namespace || undefined,
      K8sPodName: endpoint.podName || undefined,
      K8sServiceAccount: endpoint.serviceAccount || undefined,
      NamedPorts:
        endpoint.namedPorts.length === 0
          ? undefined
          : endpoint.namedPorts.map(({ name, port, protocol }) => ({
              Name: name,
              Port: port,
              Protocol: protocol,
            })),
    }),
  );
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseEndpoint(
  name: string,
  value: Buffer,
  cluster: ClusterIdentity,
): EndpointAddress {
  const fields = openRecord({ kind: "endpoint", name }, value);
  const prefix = fields.has("Mask") ? maskedPrefix(fields) : fields.address("IP").text;
  if (prefix !== name) {
    throw refusal(fields.subject, `fields "IP" and "Mask" say ${prefix}, want what the key says`);
  }
  return {
    prefix,
    hostIp: fields.optionalAddress("HostIP")?.text ?? "",
    identity: identityFromFields(fields, cluster),
    encryptionKey: parseEncryptionKey(fields, "Key"),
    namespace: fields.text("K8sNamespace", OPTIONAL_NAMESPACE),
    podName: fields.text("K8sPodName", OPTIONAL_POD),
    serviceAccount: fields.text("K8sServiceAccount", OPTIONAL_SERVICE_ACCOUNT),
    namedPorts: fields.objects("NamedPorts", ENDPOINT_MAX_NAMED_PORTS).map((port) => ({
      name: port.text("Name", PORT_NAME),
      port: port.integer("Port", PORT),
      protocol: port.choice("Protocol", PROTOCOLS),
    })),
  };
}

/** 0 for none, an IPsec key id of 1 … 15, or 255 for WireGuard. */
export function parseEncryptionKey(fields: RecordFields, field: string): number {
  const key = fields.integer(field, { min: 0, max: 255, missing: 0 });
  if (key > 15 && key !== 255) throw fields.refuse(field, { got: key, want: "0 to 15, or 255" });
  return key;
}

/** A mask as long as the address would be a second name for the same host: it is refused. */
function maskedPrefix(fields: RecordFields): string {
  const prefix = prefixFromFields(fields);
  if (prefix.length === prefix.bytes.length * 8) {
    throw fields.refuse("Mask", { got: `/${prefix.length}`, want: "null for a single address" });
  }
  return prefix.text;
}

function identityFromFields(fields: RecordFields, cluster: ClusterIdentity): IdentityNumber {
  const identity = fields.integer("ID", { min: 0, max: 0xff_ffff });
  // "host" means the machine itself: seen from any other machine it is a remote node. Cilium
  // reads it so too; believed as it stands, it would let a peer pass for our own host.
  if (identity === RESERVED_IDENTITY.host) return RESERVED_IDENTITY["remote-node"];
  if (identity < FIRST_ORDINARY_IDENTITY) return identity;
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  if (identity >= first && identity <= last) return identity;
  throw fields.refuse("ID", {
    got: identity,
    want: `${first} to ${last} (cluster ${cluster.id}) or below ${FIRST_ORDINARY_IDENTITY}`,
  });
}
