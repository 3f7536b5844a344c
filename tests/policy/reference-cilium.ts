// CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy (cilium.io/v2), layers 3 and 4, as Cilium's
// documentation reads.
import type {
  CiliumPolicy,
  CiliumPort,
  CiliumRule,
  CiliumTraffic,
  IcmpField,
  Selector,
} from "./documents.ts";
import { blockContains, isNamedPort, keysOf, selects } from "./reference-selector.ts";
import { isOwnNode, type Opinion, type Question } from "./question.ts";
import {
  addressOf,
  isInScope,
  namespaceLabelsOf,
  type Packet,
  type Pod,
  type World,
} from "./world.ts";

const CLUSTER_KEY = "io.cilium.k8s.policy.cluster";
const SERVICE_ACCOUNT_KEY = "io.cilium.k8s.policy.serviceaccount";
const NAMESPACE_KEY = "io.kubernetes.pod.namespace";
const NAMESPACE_LABELS_PREFIX = "io.cilium.k8s.namespace.labels.";

export function readCilium(policy: CiliumPolicy, question: Question): Opinion | undefined {
  const rules = [...(policy.spec === undefined ? [] : [policy.spec]), ...(policy.specs ?? [])];
  const opinions = rules.flatMap((rule) => readRule(rule, policy, question) ?? []);
  if (opinions.length === 0) return undefined;
  return {
    isolates: opinions.some(({ isolates }) => isolates),
    allows: opinions.some(({ allows }) => allows),
    denies: opinions.some(({ denies }) => denies),
  };
}

function readRule(rule: CiliumRule, policy: CiliumPolicy, question: Question): Opinion | undefined {
  const { subject, direction, world } = question;
  // A rule about nodes is about no pod.
  if (rule.endpointSelector === undefined) return undefined;
  // One with a namespace is about the pods of that namespace only.
  if (isNamespaced(policy) && subject.namespace !== namespaceOf(policy)) return undefined;
  if (!selects(rule.endpointSelector, (key) => labelOf(world, subject, key))) return undefined;

  const allow = (direction === "ingress" ? rule.ingress : rule.egress) ?? [];
  const deny = (direction === "ingress" ? rule.ingressDeny : rule.egressDeny) ?? [];
  const asked = rule.enableDefaultDeny?.[direction] ?? allow.length + deny.length > 0;
  return {
    // By default a direction that has rules; and one that only a proxy could have kept open.
    isolates: asked || allow.some(asksTooMuch),
    allows: allow.some((traffic) => !asksTooMuch(traffic) && matches(traffic, policy, question)),
    // What a deny cannot be told apart by, it does not tell apart.
    denies: deny.some((traffic) => matches(withoutWhatIsTooMuch(traffic), policy, question)),
  };
}

/** What needs a proxy, DNS or labels of nodes. */
function asksTooMuch({ toPorts = [], toFQDNs, toNodes, fromNodes }: CiliumTraffic): boolean {
  const isTooMuch = toFQDNs !== undefined || toNodes !== undefined || fromNodes !== undefined;
  return isTooMuch || toPorts.some(({ rules }) => rules !== undefined);
}

function withoutWhatIsTooMuch(traffic: CiliumTraffic): CiliumTraffic {
  const { toFQDNs: _fqdns, toNodes: _to, fromNodes: _from, ...rest } = traffic;
  return rest;
}

function matches(traffic: CiliumTraffic, policy: CiliumPolicy, question: Question): boolean {
  return matchesPeer(traffic, policy, question) && matchesPort(traffic, question.packet);
}

function matchesPeer(traffic: CiliumTraffic, policy: CiliumPolicy, question: Question): boolean {
  const { direction, peer, packet, subject, world } = question;
  const isIngress = direction === "ingress";
  const endpoints = isIngress ? traffic.fromEndpoints : traffic.toEndpoints;
  const entities = isIngress ? traffic.fromEntities : traffic.toEntities;
  const cidrs = isIngress ? traffic.fromCIDR : traffic.toCIDR;
  const cidrSets = isIngress ? traffic.fromCIDRSet : traffic.toCIDRSet;
  const services = isIngress ? undefined : traffic.toServices;

  const saysWho = [endpoints, entities, cidrs, cidrSets, services].some(
    (list) => list !== undefined,
  );
  if (!saysWho) {
    // Ports of anybody; but a rule that says nothing at all allows nothing: it only isolates.
    return traffic.toPorts !== undefined || traffic.icmps !== undefined;
  }

  if (endpoints?.some((selector) => isEndpoint(selector, policy, question)) === true) return true;
  if (entities?.some((entity) => isEntity(entity, question)) === true) return true;
  if (peer.kind === "outside") {
    // CIDRs are for what is neither pod nor node.
    const address = addressOf(peer, packet.family);
    if (cidrs?.some((cidr) => blockContains({ cidr }, address)) === true) return true;
    if (cidrSets?.some((block) => blockContains(block, address)) === true) return true;
  }
  for (const { k8sService } of services ?? []) {
    if (k8sService === undefined || peer.kind !== "pod") continue;
    if (!isInScope(world, subject, peer)) continue;
    const { serviceName, namespace = namespaceOf(policy) } = k8sService;
    const service = world.services.find(
      (one) =>
        one.cluster === subject.cluster && one.namespace === namespace && one.name === serviceName,
    );
    if (service === undefined || peer.namespace !== service.namespace) continue;
    if (selects({ matchLabels: service.selector }, (key) => peer.labels[key])) return true;
  }
  return false;
}

/** A selector means pods. */
function isEndpoint(selector: Selector, policy: CiliumPolicy, question: Question): boolean {
  const { peer, subject, world } = question;
  if (peer.kind !== "pod") return false;
  const keys = keysOf(selector).map(withoutSource);
  // Without a word about the cluster: the local one, by default.
  if (!keys.includes(CLUSTER_KEY) && !isInScope(world, subject, peer)) return false;
  // Without a word about the namespace: the policy's own, if it has one.
  const namesNamespace = keys.some(
    (key) => key === NAMESPACE_KEY || key.startsWith(NAMESPACE_LABELS_PREFIX),
  );
  if (isNamespaced(policy) && !namesNamespace && peer.namespace !== namespaceOf(policy)) {
    return false;
  }
  return selects(selector, (key) => labelOf(world, peer, key));
}

function isEntity(entity: string, { peer, subject }: Question): boolean {
  switch (entity) {
    case "all":
      return true;
    case "world":
      return peer.kind === "outside";
    // The local cluster's pods, and nodes, of whatever cluster.
    case "cluster":
      return peer.kind === "node" || (peer.kind === "pod" && peer.cluster === subject.cluster);
    case "host":
      return isOwnNode(subject, peer);
    case "remote-node":
      return peer.kind === "node" && !isOwnNode(subject, peer);
    default:
      // health, init, ingress, unmanaged, none: there is no such peer here.
      return false;
  }
}

function matchesPort({ toPorts, icmps }: CiliumTraffic, packet: Packet): boolean {
  if (toPorts === undefined && icmps === undefined) return true;
  const ports = toPorts?.flatMap((one) => one.ports ?? []) ?? [];
  const fields = icmps?.flatMap((one) => one.fields) ?? [];
  return (
    ports.some((port) => isPort(port, packet)) || fields.some((field) => isIcmp(field, packet))
  );
}

function isPort({ port, endPort, protocol = "ANY" }: CiliumPort, packet: Packet): boolean {
  // No protocol means each that has ports.
  const fits =
    protocol === "ANY"
      ? packet.protocol === "TCP" || packet.protocol === "UDP"
      : packet.protocol === protocol;
  if (!fits) return false;
  if (!/^\d+$/.test(port)) return isNamedPort(packet, port);
  const first = Number(port);
  // Port 0 is every port.
  if (first === 0) return true;
  return packet.port >= first && packet.port <= (endPort ?? first);
}

function isIcmp({ family = "IPv4", type }: IcmpField, packet: Packet): boolean {
  const protocol = family === "IPv4" ? "ICMP" : "ICMPv6";
  const echo = protocol === "ICMP" ? 8 : 128;
  const number = type === "EchoRequest" ? echo : Number(type);
  return packet.protocol === protocol && packet.port === number;
}

/** A pod's labels, and those that Cilium gives it; a key may name its source. */
function labelOf(world: World, pod: Pod, written: string): string | undefined {
  const key = withoutSource(written);
  if (key === CLUSTER_KEY) return pod.cluster;
  if (key === SERVICE_ACCOUNT_KEY) return pod.serviceAccount;
  if (key === NAMESPACE_KEY) return pod.namespace;
  if (key.startsWith(NAMESPACE_LABELS_PREFIX)) {
    return namespaceLabelsOf(world, pod)[key.slice(NAMESPACE_LABELS_PREFIX.length)];
  }
  return pod.labels[key];
}

/** `k8s:app` and `any:app` are `app`: pods of Kubernetes have no other source. */
function withoutSource(key: string): string {
  return key.replace(/^(k8s|any):/, "");
}

function isNamespaced({ kind }: CiliumPolicy): boolean {
  return kind === "CiliumNetworkPolicy";
}

function namespaceOf({ metadata }: CiliumPolicy): string {
  return metadata.namespace ?? "default";
}
