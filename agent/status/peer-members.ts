// Whom the peers of policies mean, for people: whether a peer means somebody, and how many it
// means. The engine decides what packets meet; these answers stand beside its own.
import { parsePrefix, prefixesOverlap, type Prefix } from "../../mesh/core/address.ts";
import {
  FIRST_ORDINARY_IDENTITY,
  RESERVED_IDENTITY,
  type IdentityNumber,
  type IdentityRange,
} from "../../mesh/core/identity.ts";
import type { PolicyEntity, PolicyPeer } from "../../mesh/core/policy.ts";
import { selectorMatches, type Labels } from "../../mesh/core/selector.ts";
import { AGGREGATE, aggregateOf, isOrdinaryIdentity } from "../policy/entry.ts";

/** Whoever is at the other end, as far as rules can tell. */
export interface PeerIdentity {
  readonly number: IdentityNumber;
  readonly labels: Labels;
  /** Of numbers that stand for addresses outside the mesh. */
  readonly prefix: Prefix | undefined;
}

const EVERY_IPV4 = parsePrefix("0.0.0.0/0");
const EVERY_IPV6 = parsePrefix("::/0");

const { host, unmanaged, health, init, ingress } = RESERVED_IDENTITY;
const REMOTE_NODES = [RESERVED_IDENTITY["remote-node"], RESERVED_IDENTITY["kube-apiserver"]];

const ENTITY_NUMBERS: Readonly<Partial<Record<PolicyEntity, readonly IdentityNumber[]>>> = {
  cluster: [host, health, init, ...REMOTE_NODES, ingress],
  host: [host],
  "remote-node": REMOTE_NODES,
  health: [health],
  init: [init],
  ingress: [ingress],
  unmanaged: [unmanaged],
};

/** The prefix of a number of the node's own, as text; the two halves of the world have theirs. */
export function prefixOfNumber(number: IdentityNumber, text: string): Prefix | undefined {
  if (number === RESERVED_IDENTITY["world-ipv4"]) return EVERY_IPV4;
  if (number === RESERVED_IDENTITY["world-ipv6"]) return EVERY_IPV6;
  return text === "" ? undefined : parsePrefix(text);
}

export function peerMeans(peer: PolicyPeer, who: PeerIdentity, ownRange: IdentityRange): boolean {
  switch (peer.kind) {
    case "pods":
      return isOrdinaryIdentity(who.number) && selectorMatches(peer.selector, who.labels);
    case "entity":
      return entityMeans(peer.entity, who, ownRange);
    case "cidr":
      return cidrMeans(peer, who.prefix);
  }
}

function entityMeans(
  entity: PolicyEntity,
  { number, prefix }: PeerIdentity,
  ownRange: IdentityRange,
): boolean {
  switch (entity) {
    case "all":
      return true;
    case "world":
      return aggregateOf(number, ownRange) === AGGREGATE.world;
    case "world-ipv4":
      return prefix?.family === 4;
    case "world-ipv6":
      return prefix?.family === 6;
    case "cluster":
      if (number >= FIRST_ORDINARY_IDENTITY) {
        return aggregateOf(number, ownRange) === AGGREGATE.cluster;
      }
      break;
    default:
  }
  return ENTITY_NUMBERS[entity]?.includes(number) ?? false;
}

function cidrMeans(
  { cidr, except }: Extract<PolicyPeer, { readonly kind: "cidr" }>,
  prefix: Prefix | undefined,
): boolean {
  if (prefix === undefined || !liesIn(prefix, cidr)) return false;
  return !except.some((excepted) => liesIn(prefix, excepted));
}

function liesIn(inner: Prefix, outerText: string): boolean {
  const outer = parsePrefix(outerText);
  return inner.length >= outer.length && prefixesOverlap(inner, outer);
}
