// Policy as text, for people who read it in a table: peers, ports, and why something is so. Pure.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { PolicyPeer, PortMatch } from "../../mesh/core/policy.ts";
import { selectorText } from "../../mesh/core/selector.ts";
import { isIcmp, protocolName } from "../observe/words.ts";
import type { ClosedReason, PolicyAnswer } from "../policy/engine.ts";
import { AGGREGATE, type PolicyEntry } from "../policy/entry.ts";

const LAST_PORT = 65_535;
const LAST_ICMP_TYPE = 255;
const PORT_BITS = 16;

export const CLOSED_WORDS: Readonly<Record<ClosedReason, string>> = {
  "unknown-identity": "its identity is not known yet",
  "too-many-entries": "its policies need more entries than its map has room for",
  "too-many-peers": "its policies name more peers than there is room for",
};

/** `pods k8s:app=cart`, `entity world`, `cidr 10.0.0.0/8 except 10.1.0.0/16`. */
export function peerText(peer: PolicyPeer): string {
  switch (peer.kind) {
    case "pods":
      return peer.selector.length === 0 ? "every pod" : `pods ${selectorText(peer.selector)}`;
    case "entity":
      return `entity ${peer.entity}`;
    case "cidr":
      return peer.except.length === 0
        ? `cidr ${peer.cidr}`
        : `cidr ${peer.cidr} except ${peer.except.join(", ")}`;
  }
}

/** `TCP 8000-8080`, `TCP http`, `UDP` for every port, `ICMP 8` for a type. */
export function portText(match: PortMatch): string {
  if ("type" in match) return `${match.protocol} ${match.type}`;
  if ("name" in match) return `${match.protocol} ${match.name}`;
  return rangeText(match.protocol, match);
}

/** The same of what an entry says; "" for every protocol. */
export function entryPortText(entry: Pick<PolicyEntry, "protocol" | "port" | "portPrefixBits">) {
  if (entry.protocol === 0) return "";
  return rangeText(protocolName(entry.protocol), entryPorts(entry));
}

/** Both inclusive; of ICMP types. */
export function entryPorts({
  protocol,
  port,
  portPrefixBits,
}: Pick<PolicyEntry, "protocol" | "port" | "portPrefixBits">): {
  readonly first: number;
  readonly last: number;
} {
  const last = isIcmp(protocol) ? LAST_ICMP_TYPE : LAST_PORT;
  if (protocol === 0) return { first: 0, last: LAST_PORT };
  return { first: port, last: Math.min(last, port + 2 ** (PORT_BITS - portPrefixBits) - 1) };
}

/** Who is meant by one of the planes that stand for many; "" for an exact identity. */
export function planeText(identity: IdentityNumber): string {
  switch (identity) {
    case AGGREGATE.anybody:
      return "anybody";
    case AGGREGATE.cluster:
      return "every pod of this cluster";
    case AGGREGATE.clustermesh:
      return "every pod of other clusters";
    case AGGREGATE.world:
      return "everything outside the mesh";
    default:
      return "";
  }
}

/** Why a verdict of the policies is as it is. */
export function becauseText({
  because,
  verdict,
}: Pick<PolicyAnswer, "because" | "verdict">): string {
  switch (because) {
    case "rule":
      return verdict === "allow" ? "allowed by a rule" : "denied by a rule";
    case "default-allow":
      return "no policy restricts this direction";
    case "default-deny":
      return "no rule allows it";
    case "host":
      return "the own node may always come in";
    default:
      return `closed: ${CLOSED_WORDS[because]}`;
  }
}

function rangeText(
  protocol: string,
  { first, last }: { readonly first: number; readonly last: number },
): string {
  if (
    first === 0 &&
    last >= LAST_ICMP_TYPE &&
    (last === LAST_PORT || protocol.startsWith("ICMP"))
  ) {
    return protocol;
  }
  return first === last ? `${protocol} ${first}` : `${protocol} ${first}-${last}`;
}
