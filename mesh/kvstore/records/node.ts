// Nodes (reference §1.6). The wire's field names are those of Cilium's Go struct.
import type { Prefix } from "../../core/address.ts";
import type { ClusterIdentity } from "../../core/cluster.ts";
import type { MeshNode, NodeAddress, NodeAddressType } from "../../core/node.ts";
import { parseEncryptionKey } from "./endpoint.ts";
import { ipNetFromPrefix, prefixFromField } from "./ip-net.ts";
import { ANNOTATION_VALUE, LABEL_KEY, LABEL_VALUE, NODE_NAME } from "./kubernetes-names.ts";
import { openRecord, refusal, type RecordFields, type TextRule } from "./record-fields.ts";

/** A machine with more addresses or prefixes than this has no use for them in a mesh. */
export const NODE_MAX_ADDRESSES = 64;
export const NODE_MAX_POD_PREFIXES = 256;
/** Kubernetes itself bounds them only by size; real nodes have some dozens. */
export const NODE_MAX_LABELS = 1_024;

const ADDRESS_TYPES: readonly NodeAddressType[] = [
  "Hostname",
  "InternalIP",
  "ExternalIP",
  "CiliumInternalIP",
];
const ADDRESS_TYPE: TextRule = { maxLength: 32, want: "a type of address" };
const BOOT_ID: TextRule = {
  maxLength: 64,
  pattern: /^[-0-9a-zA-Z]+$/,
  want: "a boot id (a UUID)",
  optional: true,
};
/** Base64 of 32 bytes in its only canonical spelling. */
const WIREGUARD_KEY: TextRule = {
  maxLength: 44,
  pattern: /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
  want: "base64 of 32 bytes",
  optional: true,
};

/** The tail of the record's key. */
export function nodeName(node: MeshNode): string {
  return node.name;
}

export function encodeNode(node: MeshNode): Buffer {
  const ipv4 = node.podPrefixes.filter((prefix) => !prefix.includes(":")).map(ipNetFromPrefix);
  const ipv6 = node.podPrefixes.filter((prefix) => prefix.includes(":")).map(ipNetFromPrefix);
  return Buffer.from(
    JSON.stringify({
      Name: node.name,
      Cluster: node.cluster,
      IPAddresses: node.addresses.map(({ type, ip }) => ({ Type: type, IP: ip })),
      IPv4AllocCIDR: ipv4[0] ?? null,
      IPv4SecondaryAllocCIDRs: ipv4.length > 1 ? ipv4.slice(1) : null,
      IPv6AllocCIDR: ipv6[0] ?? null,
      IPv6SecondaryAllocCIDRs: ipv6.length > 1 ? ipv6.slice(1) : null,
      // Go writes an address that is not set as "".
      IPv4HealthIP: "",
      IPv6HealthIP: "",
      IPv4IngressIP: "",
      IPv6IngressIP: "",
      ClusterID: node.clusterId,
      Source: "custom-resource",
      EncryptionKey: node.encryptionKey,
      Labels: Object.fromEntries(node.labels),
      Annotations: Object.fromEntries(node.annotations),
      WireguardPubKey: node.wireguardPublicKey,
      BootID: node.bootId,
    }),
  );
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseNode(name: string, value: Buffer, cluster: ClusterIdentity): MeshNode {
  const fields = openRecord({ kind: "node", name }, value);
  const ownName = fields.text("Name", NODE_NAME);
  fields.exactly("Name", name);
  fields.exactly("Cluster", cluster.name);
  fields.exactly("ClusterID", cluster.id);
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    name: ownName,
    addresses: fields.objects("IPAddresses", NODE_MAX_ADDRESSES).flatMap(addressFromFields),
    podPrefixes: podPrefixesFromFields(fields),
    encryptionKey: parseEncryptionKey(fields, "EncryptionKey"),
    wireguardPublicKey: fields.text("WireguardPubKey", WIREGUARD_KEY),
    bootId: fields.text("BootID", BOOT_ID),
    labels: fields.textMap("Labels", {
      maxEntries: NODE_MAX_LABELS,
      key: LABEL_KEY,
      value: LABEL_VALUE,
    }),
    annotations: fields.textMap("Annotations", {
      maxEntries: NODE_MAX_LABELS,
      key: LABEL_KEY,
      value: ANNOTATION_VALUE,
    }),
  };
}

/** Addresses of a type that we have no use for (a newer Cilium's) are left out. */
function addressFromFields(fields: RecordFields): NodeAddress[] {
  const text = fields.text("Type", ADDRESS_TYPE);
  const { text: ip } = fields.address("IP");
  const type = ADDRESS_TYPES.find((known) => known === text);
  return type === undefined ? [] : [{ type, ip }];
}

/**
 * The first one of each family, IPv4 before IPv6, then the further ones; every one once. Where
 * there are only secondary ones, the first of them counts as primary.
 */
function podPrefixesFromFields(fields: RecordFields): string[] {
  const ipv4 = prefixesOfFamily(fields, 4);
  const ipv6 = prefixesOfFamily(fields, 6);
  const texts = [...ipv4.slice(0, 1), ...ipv6.slice(0, 1), ...ipv4.slice(1), ...ipv6.slice(1)].map(
    (prefix) => prefix.text,
  );
  if (new Set(texts).size < texts.length)
    throw refusal(fields.subject, "a pod prefix stands there twice, want every one once");
  return texts;
}

function prefixesOfFamily(fields: RecordFields, family: 4 | 6): Prefix[] {
  const primary = `IPv${family}AllocCIDR`;
  const secondary = fields.list(`IPv${family}SecondaryAllocCIDRs`, NODE_MAX_POD_PREFIXES);
  return [
    ...(fields.has(primary) ? [familyPrefix(fields, { field: primary, family })] : []),
    ...secondary
      .keys(NODE_MAX_POD_PREFIXES)
      .map((field) => familyPrefix(secondary, { field, family })),
  ];
}

function familyPrefix(fields: RecordFields, source: { field: string; family: 4 | 6 }): Prefix {
  const prefix = prefixFromField(fields, source.field);
  if (prefix.family === source.family) return prefix;
  throw fields.refuse(source.field, { got: prefix.text, want: `an IPv${source.family} prefix` });
}
