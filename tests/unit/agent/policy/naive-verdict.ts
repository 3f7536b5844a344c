// What policies mean, packet by packet, straight from their text: no planes, no numbers, no caches.
import {
  parseAddress,
  parsePrefix,
  prefixContains,
  type Address,
} from "../../../../mesh/core/address.ts";
import type {
  Policy,
  PolicyDirection,
  PolicyEntity,
  PolicyPeer,
  PortMatch,
} from "../../../../mesh/core/policy.ts";
import { labelsFromTexts, selectorMatches } from "../../../../mesh/core/selector.ts";
import type { NamedPort } from "../../../../agent/policy/engine.ts";

/** All inputs of an engine, as they are now. */
export interface World {
  readonly policies: Map<string, Policy>;
  readonly identities: Map<number, readonly string[]>;
  readonly namedPorts: Map<string, { identity: number; ports: readonly NamedPort[] }>;
  readonly endpoints: Map<string, { identity: number; namedPorts: readonly NamedPort[] }>;
}

export interface Packet {
  readonly endpoint: string;
  readonly direction: PolicyDirection;
  /** An identity of the mesh or a reserved one, or an address outside the mesh. */
  readonly peer: number | string;
  readonly protocol: number;
  readonly port: number;
}

export const OWN = { name: "east", identities: { first: 65_536, last: 131_071 } };
const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58 };
const CLUSTER = "k8s:io.cilium.k8s.policy.cluster";

export function naiveVerdict(world: World, packet: Packet): "allow" | "deny" {
  const subject = world.endpoints.get(packet.endpoint);
  const labels = subject && world.identities.get(subject.identity);
  if (subject === undefined || labels === undefined) return "deny";
  const { direction } = packet;
  const rules = [...world.policies.values()]
    .flatMap((policy) => policy.rules)
    .filter((rule) => selectorMatches(rule.subject, labelsFromTexts(labels)));
  const speaking = rules
    .flatMap((rule) => rule[direction])
    .filter(
      ({ peers, ports }) =>
        (peers?.some((peer) => peerMatches(world, peer, packet.peer)) ?? true) &&
        (ports?.some((match) => portMatches(match, { world, packet })) ?? true),
    );
  if (speaking.some(({ verdict }) => verdict === "deny")) return "deny";
  if (!rules.some(({ defaultDeny }) => defaultDeny[direction])) return "allow";
  if (direction === "ingress" && packet.peer === 1) return "allow";
  return speaking.length > 0 ? "allow" : "deny";
}

function peerMatches(world: World, peer: PolicyPeer, who: number | string): boolean {
  const address = typeof who === "string" ? parseAddress(who) : undefined;
  switch (peer.kind) {
    case "cidr":
      return address !== undefined && inCidr(peer, address);
    case "entity":
      return entityMatches(peer.entity, who);
    case "pods": {
      if (typeof who === "string" || who < 256) return false;
      const labels = world.identities.get(who);
      if (labels !== undefined) return selectorMatches(peer.selector, labelsFromTexts(labels));
      // Of a pod that is not known yet nothing is known but whether it is ours.
      return peer.selector.every(
        ({ key, operator, values }) =>
          key === CLUSTER &&
          (operator === "Exists" ||
            (operator === "In" && values.join() === OWN.name && isOwn(who))),
      );
    }
  }
}

function inCidr(peer: Extract<PolicyPeer, { kind: "cidr" }>, address: Address): boolean {
  const holds = (text: string): boolean => prefixContains(parsePrefix(text), address);
  return holds(peer.cidr) && !peer.except.some(holds);
}

function entityMatches(entity: PolicyEntity, who: number | string): boolean {
  const family = typeof who === "string" ? parseAddress(who).family : undefined;
  switch (entity) {
    case "all":
      return true;
    case "world":
      return family !== undefined || who === 2;
    case "world-ipv4":
      return family === 4;
    case "world-ipv6":
      return family === 6;
    case "none":
      return false;
    default: {
      const numbers = {
        cluster: [1, 4, 5, 6, 7, 8],
        host: [1],
        "remote-node": [6, 7],
        health: [4],
        init: [5],
        ingress: [8],
        unmanaged: [3],
      }[entity];
      if (typeof who === "string") return false;
      return numbers.includes(who) || (entity === "cluster" && isOwn(who));
    }
  }
}

function isOwn(identity: number): boolean {
  return identity >= OWN.identities.first && identity <= OWN.identities.last;
}

function portMatches(
  match: PortMatch,
  { world, packet }: { readonly world: World; readonly packet: Packet },
): boolean {
  const { protocol, port } = packet;
  if ("type" in match) return PROTOCOLS[match.protocol] === protocol && match.type === port;
  const isProtocol =
    match.protocol === "ANY"
      ? [6, 17, 132].includes(protocol)
      : PROTOCOLS[match.protocol] === protocol;
  if (!isProtocol) return false;
  if (!("name" in match)) return port >= match.first && port <= match.last;
  const asked =
    packet.direction === "ingress"
      ? (world.endpoints.get(packet.endpoint)?.namedPorts ?? [])
      : [...world.namedPorts.values()]
          .filter(({ identity }) => identity === packet.peer)
          .flatMap(({ ports }) => ports);
  return asked.some(
    (named) =>
      named.name === match.name && named.port === port && PROTOCOLS[named.protocol] === protocol,
  );
}
