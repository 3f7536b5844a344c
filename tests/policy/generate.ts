// Policies at random, seeded: what people write in both languages, for the pods of layout.ts. The
// words are few and the pods have them, so that rules meet.
import type {
  Applied,
  CidrRule,
  CiliumPolicy,
  CiliumPort,
  CiliumRule,
  CiliumTraffic,
  NetworkPeer,
  NetworkPolicy,
  NetworkPort,
  PolicyDocument,
  Selector,
} from "./documents.ts";
import { CLUSTERS, NAMESPACES } from "./layout.ts";

export type Random = () => number;

/** Mulberry32: the same numbers for the same seed, everywhere. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** So many policies that are in force together, in both clusters; names are unique by `prefix`. */
export function generateSet(
  random: Random,
  { prefix, size }: { readonly prefix: string; readonly size: number },
): Applied[] {
  return Array.from({ length: size }, (_, i) => ({
    cluster: pick(random, CLUSTERS),
    document: generateDocument(random, `${prefix}-${i}`),
  }));
}

export function generateDocument(random: Random, name: string): PolicyDocument {
  const namespace = pick(random, NAMESPACES);
  const kind = random();
  if (kind < 0.5) return networkPolicy(random, { name, namespace });
  return ciliumPolicy(random, kind < 0.85 ? { name, namespace } : { name });
}

function networkPolicy(
  random: Random,
  metadata: { readonly name: string; readonly namespace: string },
): NetworkPolicy {
  const ingress = list(random, [0, 2], () => ({
    ...maybe(random, 0.85, { from: list(random, [1, 2], () => networkPeer(random)) }),
    ...maybe(random, 0.7, { ports: list(random, [1, 2], () => networkPort(random)) }),
  }));
  const egress = list(random, [0, 2], () => ({
    ...maybe(random, 0.85, { to: list(random, [1, 2], () => networkPeer(random)) }),
    ...maybe(random, 0.7, { ports: list(random, [1, 2], () => networkPort(random)) }),
  }));
  const shape = pick(random, ["ingress", "egress", "both", "by rules"] as const);
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata,
    spec: {
      podSelector: podSelector(random),
      ...(shape === "ingress" ? { policyTypes: ["Ingress"], ingress } : {}),
      ...(shape === "egress" ? { policyTypes: ["Egress"], egress } : {}),
      ...(shape === "both" ? { policyTypes: ["Ingress", "Egress"], ingress, egress } : {}),
      // The types follow from what is there.
      ...(shape === "by rules" ? { ingress, ...maybe(random, 0.5, { egress }) } : {}),
    },
  };
}

function networkPeer(random: Random): NetworkPeer {
  const kind = random();
  if (kind < 0.3) return { podSelector: podSelector(random) };
  if (kind < 0.5) return { namespaceSelector: namespaceSelector(random) };
  if (kind < 0.75) {
    return { namespaceSelector: namespaceSelector(random), podSelector: podSelector(random) };
  }
  return { ipBlock: cidrRule(random) };
}

function networkPort(random: Random): NetworkPort {
  const kind = random();
  if (kind < 0.1) return { protocol: pick(random, ["TCP", "UDP"]) };
  if (kind < 0.35) return namedPort(random);
  const protocol = maybe(random, 0.7, { protocol: pick(random, ["TCP", "TCP", "UDP", "SCTP"]) });
  if (kind < 0.55) return { ...protocol, ...range(random) };
  return { ...protocol, port: pick(random, PORTS) };
}

function ciliumPolicy(
  random: Random,
  metadata: { readonly name: string; readonly namespace?: string },
): CiliumPolicy {
  const isNamespaced = metadata.namespace !== undefined;
  const kind = isNamespaced ? "CiliumNetworkPolicy" : "CiliumClusterwideNetworkPolicy";
  const head = { apiVersion: "cilium.io/v2", kind, metadata } as const;
  const rule = (): CiliumRule => ciliumRule(random, isNamespaced);
  return random() < 0.85 ? { ...head, spec: rule() } : { ...head, specs: [rule(), rule()] };
}

function ciliumRule(random: Random, isNamespaced: boolean): CiliumRule {
  const directions = pick(random, [["ingress"], ["egress"], ["ingress", "egress"]] as const);
  const parts = directions.map((direction): Partial<CiliumRule> => {
    const allow = list(random, [1, 2], () => ciliumTraffic(random, direction));
    const deny = list(random, [1, 1], () => ciliumDeny(random, direction));
    const shape = random();
    if (direction === "ingress") {
      if (shape < 0.15) return { ingressDeny: deny };
      return shape < 0.35 ? { ingress: allow, ingressDeny: deny } : { ingress: allow };
    }
    if (shape < 0.15) return { egressDeny: deny };
    return shape < 0.35 ? { egress: allow, egressDeny: deny } : { egress: allow };
  });
  const enableDefaultDeny = Object.fromEntries(
    directions.map((direction) => [direction, random() < 0.3]),
  );
  return {
    // All pods of the cluster at once would leave nothing to tell apart.
    endpointSelector: isNamespaced ? endpointSubject(random) : clusterwideSubject(random),
    ...maybe(random, 0.25, { enableDefaultDeny }),
    ...parts[0],
    ...parts[1],
  };
}

function ciliumTraffic(random: Random, direction: "ingress" | "egress"): CiliumTraffic {
  const kind = random();
  // Nothing at all: it only isolates.
  if (kind < 0.03) return {};
  const ports = random() < 0.65 ? ciliumPorts(random) : {};
  // Layer 7 and names of hosts: what nobody can do here.
  if (kind < 0.07) {
    const toPorts = [{ ports: [ciliumPort(random)], rules: { http: [{ method: "GET" }] } }];
    return { ...ciliumPeer(random, direction), toPorts };
  }
  if (kind < 0.1 && direction === "egress") return { toFQDNs: [{ matchName: "example.org" }] };
  if (kind < 0.2) return ciliumPorts(random);
  return { ...ciliumPeer(random, direction), ...ports };
}

function ciliumDeny(random: Random, direction: "ingress" | "egress"): CiliumTraffic {
  const peer = ciliumPeer(random, direction);
  return random() < 0.6 ? { ...peer, ...ciliumPorts(random) } : peer;
}

/** One way to say who, as Cilium wants it. */
function ciliumPeer(random: Random, direction: "ingress" | "egress"): CiliumTraffic {
  const kind = random();
  const isIngress = direction === "ingress";
  if (kind < 0.5) {
    const endpoints = list(random, [1, 2], () => peerSelector(random));
    return isIngress ? { fromEndpoints: endpoints } : { toEndpoints: endpoints };
  }
  if (kind < 0.7) {
    const entities = list(random, [1, 2], () => pick(random, ENTITIES));
    return isIngress ? { fromEntities: entities } : { toEntities: entities };
  }
  if (kind < 0.8) {
    const cidrs = list(random, [1, 2], () => pick(random, CIDRS).cidr);
    return isIngress ? { fromCIDR: cidrs } : { toCIDR: cidrs };
  }
  if (kind < 0.92 || isIngress) {
    const blocks = list(random, [1, 2], () => cidrRule(random));
    return isIngress ? { fromCIDRSet: blocks } : { toCIDRSet: blocks };
  }
  return { toServices: [{ k8sService: pick(random, NAMED_SERVICES) }] };
}

/** Everybody, pods of one cluster, of the other, of a namespace, by account; often by label too. */
function peerSelector(random: Random): Selector {
  const pods = podSelector(random);
  const kind = random();
  const also = (more: Readonly<Record<string, string>>): Selector => ({
    ...pods,
    matchLabels: { ...pods.matchLabels, ...more },
  });
  const where = (...more: { key: string; operator: string; values?: string[] }[]): Selector => ({
    ...pods,
    matchExpressions: [...(pods.matchExpressions ?? []), ...more],
  });
  if (kind < 0.25) return pods;
  if (kind < 0.4) return also({ "k8s:io.kubernetes.pod.namespace": pick(random, NAMESPACES) });
  if (kind < 0.5) {
    return also({ "io.cilium.k8s.namespace.labels.team": pick(random, ["a", "b", "ops"]) });
  }
  if (kind < 0.58) return also({ "io.cilium.k8s.policy.serviceaccount": "cart" });
  if (kind < 0.7) return also({ "io.cilium.k8s.policy.cluster": pick(random, CLUSTERS) });
  if (kind < 0.85) {
    return also({
      "k8s:io.cilium.k8s.policy.cluster": pick(random, CLUSTERS),
      "io.kubernetes.pod.namespace": pick(random, NAMESPACES),
    });
  }
  const anywhere = { key: "io.cilium.k8s.policy.cluster", operator: "Exists" };
  if (kind < 0.93) return where(anywhere);
  return where(anywhere, {
    key: "k8s:io.kubernetes.pod.namespace",
    operator: pick(random, ["In", "NotIn"]),
    values: [pick(random, NAMESPACES), "elsewhere"],
  });
}

function ciliumPorts(random: Random): CiliumTraffic {
  if (random() < 0.12) {
    const fields = [
      { type: 8 },
      { family: "IPv6", type: pick<string | number>(random, [128, "EchoRequest"]) },
    ];
    return { icmps: [{ fields: random() < 0.5 ? fields : fields.slice(1) }] };
  }
  const ports = list(random, [1, 2], () => ciliumPort(random));
  if (random() < 0.85 || ports.length < 2) return { toPorts: [{ ports }] };
  return { toPorts: ports.map((port) => ({ ports: [port] })) };
}

function ciliumPort(random: Random): CiliumPort {
  const kind = random();
  if (kind < 0.2) {
    const { port, protocol } = namedPort(random);
    return { port, protocol };
  }
  const protocol = maybe(random, 0.75, { protocol: pick(random, ["TCP", "TCP", "UDP", "ANY"]) });
  if (kind < 0.28) return { port: "0", ...protocol };
  if (kind < 0.5) {
    const { port, endPort } = range(random);
    return { port: String(port), endPort, ...protocol };
  }
  return { port: String(pick(random, PORTS)), ...protocol };
}

const PORTS = [443, 8080, 9000, 9001, 53] as const;
const ENTITIES = ["all", "world", "cluster", "host", "remote-node", "health", "init"] as const;
const NAMED_SERVICES = [
  { serviceName: "front", namespace: "shop" },
  { serviceName: "store", namespace: "data" },
  { serviceName: "gone", namespace: "data" },
] as const;

/** Around the addresses of layout.ts; one that holds pods and nodes, which CIDRs never mean. */
const CIDRS: readonly Required<CidrRule>[] = [
  { cidr: "198.51.100.0/24", except: ["198.51.100.128/25"] },
  { cidr: "198.51.100.128/25", except: ["198.51.100.130/32"] },
  { cidr: "198.51.100.20/32", except: [] },
  { cidr: "203.0.113.0/24", except: ["203.0.113.128/25"] },
  { cidr: "0.0.0.0/0", except: ["198.51.100.0/24", "10.0.0.0/8"] },
  { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] },
  { cidr: "2001:db8:51::/48", except: ["2001:db8:51:8000::/49"] },
  { cidr: "2001:db8:113::9/128", except: [] },
  { cidr: "2001:db8::/32", except: ["2001:db8:51::/48"] },
  { cidr: "::/0", except: ["fd00::/8", "2001:db8:51:8000::/64"] },
];

function cidrRule(random: Random): CidrRule {
  const { cidr, except } = pick(random, CIDRS);
  return except.length > 0 && random() < 0.6 ? { cidr, except } : { cidr };
}

function namedPort(random: Random): { port: string; protocol: "TCP" | "UDP" } {
  return pick(random, [
    { port: "http", protocol: "TCP" },
    { port: "http", protocol: "TCP" },
    { port: "metrics", protocol: "TCP" },
    { port: "dns", protocol: "UDP" },
    { port: "sync", protocol: "UDP" },
    // Of the other protocol: nobody has it.
    { port: "dns", protocol: "TCP" },
  ] as const);
}

function range(random: Random): { port: number; endPort: number } {
  const [port, endPort] = pick(random, [
    [8000, 8999],
    [8080, 9000],
    [9000, 9001],
    [1, 1023],
    [444, 9000],
    [53, 65_535],
  ] as const);
  return { port, endPort };
}

function podSelector(random: Random): Selector {
  const kind = random();
  if (kind < 0.2) return {};
  if (kind < 0.55) return { matchLabels: { app: pick(random, APPS) } };
  if (kind < 0.7) return { matchLabels: { tier: pick(random, ["front", "back"]) } };
  return { matchExpressions: [podExpression(random)] };
}

const APPS = ["web", "cart", "db", "minio", "dns"] as const;

function podExpression(random: Random): { key: string; operator: string; values?: string[] } {
  const operator = pick(random, ["In", "NotIn", "Exists", "DoesNotExist"]);
  if (operator === "Exists" || operator === "DoesNotExist") return { key: "tier", operator };
  return random() < 0.5
    ? { key: "app", operator, values: [pick(random, APPS), pick(random, APPS)] }
    : { key: "tier", operator, values: [pick(random, ["front", "back"])] };
}

/** Of the policy's own namespace. */
function endpointSubject(random: Random): Selector {
  const selector = podSelector(random);
  const labels = Object.entries(selector.matchLabels ?? {});
  if (random() < 0.8) return selector;
  const matchLabels = Object.fromEntries(labels.map(([key, value]) => [`k8s:${key}`, value]));
  return labels.length === 0 ? selector : { matchLabels };
}

function clusterwideSubject(random: Random): Selector {
  const namespace = { "io.kubernetes.pod.namespace": pick(random, NAMESPACES) };
  return random() < 0.5
    ? { matchLabels: { app: pick(random, APPS) } }
    : { matchLabels: { ...podSelector(random).matchLabels, ...namespace } };
}

function namespaceSelector(random: Random): Selector {
  const kind = random();
  if (kind < 0.2) return {};
  if (kind < 0.5) return { matchLabels: { team: pick(random, ["a", "b", "ops"]) } };
  if (kind < 0.7)
    return { matchLabels: { "kubernetes.io/metadata.name": pick(random, NAMESPACES) } };
  if (kind < 0.85) return { matchExpressions: [{ key: "env", operator: "In", values: ["prod"] }] };
  return { matchExpressions: [{ key: "env", operator: pick(random, ["Exists", "DoesNotExist"]) }] };
}

function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[Math.floor(random() * from.length)];
  if (found === undefined) throw new RangeError("Cannot pick from nothing");
  return found;
}

function list<T>(random: Random, [min, max]: readonly [number, number], make: () => T): T[] {
  const length = min + Math.floor(random() * (max - min + 1));
  return Array.from({ length }, make);
}

/** The fields, or none of them. */
function maybe<T extends object>(random: Random, share: number, fields: T): T | object {
  return random() < share ? fields : {};
}
