// NetworkPolicy v1 as its API documentation reads.
import type { NetworkPeer, NetworkPolicy, NetworkPort } from "./documents.ts";
import { blockContains, isNamedPort, selects } from "./reference-selector.ts";
import type { Opinion, Question } from "./question.ts";
import { addressOf, isInScope, namespaceLabelsOf, type Packet, type Pod } from "./world.ts";

export function readKubernetes(policy: NetworkPolicy, question: Question): Opinion | undefined {
  const { spec } = policy;
  const { subject, direction, packet } = question;
  // It selects pods of its own namespace.
  if (subject.namespace !== namespaceOf(policy)) return undefined;
  if (!selects(spec.podSelector, (key) => subject.labels[key])) return undefined;

  // Without policyTypes: ingress always, egress if there are egress rules. An empty list of them is
  // none: "no egress at all" has to be said by policyTypes.
  const hasEgress = (spec.egress ?? []).length > 0;
  const types = spec.policyTypes ?? ["Ingress", ...(hasEgress ? ["Egress"] : [])];
  const isolates = types.includes(direction === "ingress" ? "Ingress" : "Egress");
  if (!isolates) return { isolates, allows: false, denies: false };

  const rules =
    direction === "ingress"
      ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from ?? [], ports: ports ?? [] }))
      : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to ?? [], ports: ports ?? [] }));
  const allows = rules.some(
    ({ peers, ports }) =>
      // No peers: everybody. No ports: every port, and what has none.
      (peers.length === 0 || peers.some((peer) => isPeer(policy, peer, question))) &&
      (ports.length === 0 || ports.some((port) => isPort(port, packet))),
  );
  return { isolates, allows, denies: false };
}

function isPeer(policy: NetworkPolicy, wanted: NetworkPeer, question: Question): boolean {
  const { subject, peer, packet, world } = question;
  if (wanted.ipBlock !== undefined) {
    // Addresses outside of the clusters; pods and nodes are selected by what they are.
    return peer.kind === "outside" && blockContains(wanted.ipBlock, addressOf(peer, packet.family));
  }
  // By default selectors mean pods of the cluster that the policy is in.
  if (peer.kind !== "pod" || !isInScope(world, subject, peer)) return false;
  const pod: Pod = peer;
  const { namespaceSelector, podSelector = {} } = wanted;
  if (namespaceSelector === undefined) {
    if (pod.namespace !== namespaceOf(policy)) return false;
  } else {
    const labels = namespaceLabelsOf(world, pod);
    if (!selects(namespaceSelector, (key) => labels[key])) return false;
  }
  return selects(podSelector, (key) => pod.labels[key]);
}

function isPort(wanted: NetworkPort, packet: Packet): boolean {
  const { protocol = "TCP", port, endPort } = wanted;
  if (packet.protocol !== protocol) return false;
  if (port === undefined) return true;
  if (typeof port === "string") return isNamedPort(packet, port);
  return packet.port >= port && packet.port <= (endPort ?? port);
}

function namespaceOf({ metadata }: NetworkPolicy): string {
  return metadata.namespace ?? "default";
}
