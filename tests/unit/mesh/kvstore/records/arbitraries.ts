// Random records as a well-behaved cluster writes them, and the same bytes damaged. Shared by
// the tests of every record and by tests elsewhere that need plausible state.
import fc from "fast-check";
import {
  addressFromBytes,
  prefixFromAddress,
  reservedAddressReason,
} from "../../../../../mesh/core/address.ts";
import type { ClusterIdentity } from "../../../../../mesh/core/cluster.ts";
import { identityRange } from "../../../../../mesh/core/identity.ts";
import type { EndpointAddress, MeshNode, NodeAddress } from "../../../../../mesh/core/node.ts";
import type {
  AddressPorts,
  ClusterService,
  LocalService,
  MinHealthy,
  NamedPorts,
  ServiceSettings,
} from "../../../../../mesh/core/service.ts";
import type { ClusterConfig } from "../../../../../mesh/kvstore/records/cluster-config.ts";
import {
  identityLabelsForPod,
  type PodLabels,
} from "../../../../../mesh/kvstore/records/identity-labels.ts";

const LETTERS = Array.from("abcdefghijklmnopqrstuvwxyz0123456789");

/** Text of one to `maxLength` characters of which the inner ones may also be of `inner`. */
function word(maxLength: number, inner = "-"): fc.Arbitrary<string> {
  const edge = fc.constantFrom(...LETTERS);
  const middle = fc.string({
    unit: fc.constantFrom(...LETTERS, ...inner.split("")),
    maxLength: Math.max(0, maxLength - 2),
  });
  return fc
    .tuple(edge, middle, edge)
    .map(([first, rest, last]) => (maxLength === 1 ? first : first + rest + last));
}

export const clusterIdentity: fc.Arbitrary<ClusterIdentity> = fc
  .constantFrom(255 as const, 511 as const)
  .chain((maxConnectedClusters) =>
    fc.record({
      name: word(32).filter((name) => name !== "default"),
      id: fc.integer({ min: 1, max: maxConnectedClusters }),
      maxConnectedClusters: fc.constant(maxConnectedClusters),
    }),
  );

/** Canonical text of an address that a pod may have. */
function ordinaryAddress(family: 4 | 6): fc.Arbitrary<string> {
  const length = family === 4 ? 4 : 16;
  return fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((bytes) => {
      // 10.x and fd… keep most candidates ordinary, so that the filter drops few.
      bytes[0] = family === 4 ? ((bytes[0] ?? 0) % 120) + 1 : 0xfd;
      return addressFromBytes(bytes);
    })
    .filter((address) => reservedAddressReason(address) === undefined)
    .map((address) => address.text);
}

export const addressText: fc.Arbitrary<string> = fc.oneof(ordinaryAddress(4), ordinaryAddress(6));

/** Canonical text of a prefix shorter than its address. */
export function prefixText(family: 4 | 6): fc.Arbitrary<string> {
  const lengths = family === 4 ? { min: 8, max: 31 } : { min: 16, max: 127 };
  const length = family === 4 ? 4 : 16;
  return fc
    .tuple(fc.uint8Array({ minLength: length, maxLength: length }), fc.integer(lengths))
    .map(([bytes, bits]) => {
      bytes[0] = family === 4 ? ((bytes[0] ?? 0) % 120) + 1 : 0xfd;
      return prefixFromAddress(addressFromBytes(bytes), bits).text;
    });
}

const port = fc.integer({ min: 1, max: 65_535 });
const portName = fc.oneof(fc.constant(""), word(15));
const protocol = fc.constantFrom("TCP" as const, "UDP" as const, "SCTP" as const);
const labelKey = fc.oneof(
  word(63, "-_."),
  fc.tuple(word(20, "-."), word(20, "-_.")).map((parts) => parts.join("/")),
);
const labelValue = fc.oneof(fc.constant(""), word(63, "-_."));

function mapOf<V>(
  key: fc.Arbitrary<string>,
  value: fc.Arbitrary<V>,
  maxLength = 6,
): fc.Arbitrary<ReadonlyMap<string, V>> {
  return fc.array(fc.tuple(key, value), { maxLength }).map((entries) => new Map(entries));
}

export const labels = mapOf(labelKey, labelValue);

export function endpoint(cluster: ClusterIdentity): fc.Arbitrary<EndpointAddress> {
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  return fc.record({
    prefix: fc.oneof(addressText, prefixText(4), prefixText(6)),
    hostIp: fc.oneof(fc.constant(""), addressText),
    identity: fc.oneof(fc.integer({ min: first, max: last }), fc.integer({ min: 2, max: 255 })),
    encryptionKey: fc.oneof(fc.integer({ min: 0, max: 15 }), fc.constant(255)),
    namespace: fc.oneof(fc.constant(""), word(63)),
    podName: fc.oneof(fc.constant(""), word(253, "-.")),
    serviceAccount: fc.oneof(fc.constant(""), word(40, "-.")),
    namedPorts: fc.array(fc.record({ name: portName, port, protocol }), { maxLength: 4 }),
  });
}

export function node(cluster: ClusterIdentity): fc.Arbitrary<MeshNode> {
  const nodeAddress: fc.Arbitrary<NodeAddress> = fc.record({
    type: fc.constantFrom("Hostname", "InternalIP", "ExternalIP", "CiliumInternalIP"),
    ip: addressText,
  });
  return fc.record({
    cluster: fc.constant(cluster.name),
    clusterId: fc.constant(cluster.id),
    name: word(253, "-."),
    addresses: fc.array(nodeAddress, { maxLength: 5 }),
    podPrefixes: podPrefixes(),
    encryptionKey: fc.oneof(fc.integer({ min: 0, max: 15 }), fc.constant(255)),
    wireguardPublicKey: fc.oneof(
      fc.constant(""),
      fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((bytes) => Buffer.from(bytes).toString("base64")),
    ),
    bootId: fc.oneof(fc.constant(""), fc.uuid()),
    labels,
    annotations: mapOf(labelKey, fc.string({ unit: "grapheme" }).map(withoutNul)),
  });
}

/** In the order in which a reader gives them back: primary ones first, IPv4 before IPv6. */
function podPrefixes(): fc.Arbitrary<string[]> {
  const ofFamily = (family: 4 | 6): fc.Arbitrary<string[]> =>
    fc.uniqueArray(prefixText(family), { maxLength: 3 });
  return fc
    .tuple(ofFamily(4), ofFamily(6))
    .map(([four, six]) => [
      ...four.slice(0, 1),
      ...six.slice(0, 1),
      ...four.slice(1),
      ...six.slice(1),
    ]);
}

export function service(cluster: ClusterIdentity): fc.Arbitrary<ClusterService> {
  const named: fc.Arbitrary<NamedPorts> = mapOf(portName, fc.record({ protocol, port }), 3);
  const addresses = (maxLength: number): fc.Arbitrary<AddressPorts> =>
    mapOf(addressText, named, maxLength);
  return fc.record({
    cluster: fc.constant(cluster.name),
    clusterId: fc.constant(cluster.id),
    namespace: word(63),
    name: word(63),
    frontends: addresses(2),
    backends: addresses(8),
    labels,
    selector: labels,
    includeExternal: fc.boolean(),
    shared: fc.boolean(),
  });
}

export function localService(cluster: ClusterIdentity): fc.Arbitrary<LocalService> {
  const clusterName = word(32).filter((name) => name !== "default");
  const minHealthy: fc.Arbitrary<MinHealthy> = fc.oneof(
    fc.record({ kind: fc.constant("count" as const), count: fc.nat(1_000) }),
    fc.record({ kind: fc.constant("percent" as const), percent: fc.nat(100) }),
  );
  const settings: fc.Arbitrary<ServiceSettings> = fc.record({
    global: fc.boolean(),
    shared: fc.boolean(),
    affinity: fc.constantFrom("none" as const, "local" as const, "remote" as const),
    sessionAffinitySeconds: fc.nat(86_400),
    failoverOrder: fc.array(fc.array(clusterName, { minLength: 1, maxLength: 3 }), {
      maxLength: 3,
    }),
    weights: mapOf(clusterName, fc.nat(65_535), 3),
    minHealthy: fc.option(minHealthy, { nil: undefined }),
  });
  return fc.record({ service: service(cluster), settings });
}

/** An identity of the cluster: its number and its labels, sorted. */
export function identity(
  cluster: ClusterIdentity,
): fc.Arbitrary<{ number: number; labels: readonly string[] }> {
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  const pod: fc.Arbitrary<PodLabels> = fc.record({
    cluster: fc.constant(cluster.name),
    namespace: word(63),
    namespaceLabels: labels,
    serviceAccount: word(40, "-."),
    labels,
  });
  return fc.record({
    number: fc.integer({ min: first, max: last }),
    labels: pod.map(identityLabelsForPod),
  });
}

export const clusterConfig: fc.Arbitrary<ClusterConfig> = fc.record({
  cluster: clusterIdentity,
  capabilities: fc.record({
    syncedCanaries: fc.boolean(),
    cached: fc.boolean(),
    serviceExportsEnabled: fc.constantFrom(undefined, true, false),
    endpointSlicesExportMode: fc.constantFrom(
      "" as const,
      "services-and-endpointslices" as const,
      "endpointslices-only" as const,
    ),
  }),
});

/** Values that no record expects where it expects something. */
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, -1, 0, 1e21, 0.5, "", "x".repeat(300), "\u0000", "\ud800", [], {}),
  fc.constantFrom("127.0.0.1", "::ffff:10.0.0.1", "10.0.0.1/8", "AAAA", "__proto__", "../x"),
  fc.jsonValue(),
);

/** Bytes that somebody broke: random ones, other JSON, cut, flipped, or with a field replaced. */
export function damaged(value: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const cut = fc
    .tuple(value, fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([bytes, part]) => bytes.subarray(0, Math.floor(bytes.length * part)));
  const flipped = fc
    .tuple(value, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
    .map(([bytes, changes]) => {
      const copy = Buffer.from(bytes);
      for (const [at, byte] of changes) if (copy.length > 0) copy[at % copy.length] = byte;
      return copy;
    });
  return fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((text) => Buffer.from(text)),
    cut,
    flipped,
    fc.tuple(value, fc.nat(), oddValue).map(([bytes, at, odd]) => replaceField(bytes, { at, odd })),
  );
}

/** Replaces the nth value, counted through the whole tree, of a JSON record. */
function replaceField(bytes: Buffer, change: { at: number; odd: unknown }): Buffer {
  let tree: unknown;
  try {
    tree = JSON.parse(bytes.toString());
  } catch {
    // Records that are not JSON (identities, times) get the odd value as a whole.
    return Buffer.from(String(JSON.stringify(change.odd)));
  }
  const places: { holder: Record<string, unknown>; key: string }[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const holder = value as Record<string, unknown>;
    for (const key of Object.keys(holder)) {
      places.push({ holder, key });
      visit(holder[key]);
    }
  };
  visit(tree);
  const place = places[change.at % Math.max(1, places.length)];
  if (place !== undefined) place.holder[place.key] = change.odd;
  return Buffer.from(JSON.stringify(tree));
}

function withoutNul(text: string): string {
  return text.replaceAll("\0", "");
}
