// `toPorts` and `icmps` of a Cilium rule → port matches. Pure. What cannot be honoured (layer 7, TLS)
// allows no port, or denies every one.
import type { PortMatch, TrafficRule } from "../../../mesh/core/policy.ts";
import type { Fields } from "../fields.ts";
import { ICMP_TYPES, ICMPV6_TYPES } from "./icmp-types.ts";
import { unknownFields, type Refusals } from "./refusals.ts";

export interface PortContext {
  readonly verdict: TrafficRule["verdict"];
  readonly refusals: Refusals;
}

/** Undefined in place of matches: something of it cannot be honoured, and was refused. */
type Found = readonly PortMatch[] | undefined;

const PORTS = { min: 0, max: 65_535 };
const ICMP_TYPE = { min: 0, max: 255 };
const ALL_PORTS = { first: 0, last: 65_535 };
const PORT_PROTOCOLS = ["TCP", "UDP", "SCTP", "ANY"] as const;
/** What Cilium would hand to a proxy. */
const PROXY_FIELDS = ["terminatingTLS", "originatingTLS", "listener", "serverNames"];
const PORT_NAME = /^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/;

/** Undefined: every port. An empty list is none. */
export function portsFromRule(
  fields: Fields,
  context: PortContext,
): readonly PortMatch[] | undefined {
  const [toPorts, icmps] = [fields.maps("toPorts"), fields.maps("icmps")];
  if (toPorts.length > 0 && icmps.length > 0) {
    refuse(fields, { name: "icmps", what: "it cannot stand beside toPorts", context });
    return context.verdict === "allow" ? [] : undefined;
  }
  if (toPorts.length + icmps.length === 0) return undefined;
  const found: Found[] = [
    ...toPorts.flatMap((rule) => portRule(rule, context)),
    ...icmps.flatMap((rule) => icmpRule(rule, context)),
  ];
  if (context.verdict === "deny" && found.includes(undefined)) return undefined;
  return found.flatMap((matches) => matches ?? []);
}

function portRule(fields: Fields, context: PortContext): Found[] {
  let honoured = true;
  const no = (name: string, what: string): void => {
    honoured = false;
    refuse(fields, { name, what, context });
  };
  for (const name of unknownFields(fields, ["ports", "rules", ...PROXY_FIELDS])) {
    no(name, "it is unknown");
  }
  if ((fields.map("rules")?.names() ?? []).some((name) => fields.map("rules")?.has(name))) {
    no("rules", "rules of layer 7 need a proxy");
  }
  for (const name of PROXY_FIELDS) {
    const empty = name === "serverNames" && fields.texts(name, (text) => text).length === 0;
    if (fields.has(name) && !empty) no(name, "it needs a proxy");
  }
  if (!honoured) return [undefined];
  return fields.maps("ports").map((port) => portProtocol(port, context));
}

function portProtocol(fields: Fields, context: PortContext): Found {
  const no = (name: string, what: string): undefined => refuse(fields, { name, what, context });
  const [unknown] = unknownFields(fields, ["port", "endPort", "protocol"]);
  if (unknown !== undefined) return no(unknown, "it is unknown");
  const named = fields.optionalText("protocol") || "ANY";
  const protocol = PORT_PROTOCOLS.find((known) => known === named.toUpperCase());
  if (protocol === undefined) {
    const hint = /^icmp/i.test(named) ? "; want icmps for it" : "";
    return no("protocol", `want ${PORT_PROTOCOLS.join(", ")}${hint}`);
  }
  const written = fields.integerOrText("port", PORTS);
  if (written === undefined || written === "") throw fields.error("port", "it is missing");
  const port = String(written).toLowerCase();
  const end = fields.integer("endPort", PORTS) ?? 0;
  if (/^\d+$/.test(port)) {
    const first = Number(port);
    if (first > PORTS.max) throw fields.error("port", `want at most ${PORTS.max}`);
    if (first === 0) return [{ protocol, ...ALL_PORTS }];
    if (end !== 0 && end < first) return no("endPort", `it is below port ${first}`);
    return [{ protocol, first, last: end === 0 ? first : end }];
  }
  if (!PORT_NAME.test(port)) throw fields.error("port", "want a number or the name of a port");
  if (end !== 0) return no("endPort", "it cannot stand beside a port's name");
  return [{ protocol, name: port }];
}

function icmpRule(fields: Fields, context: PortContext): Found[] {
  const [unknown] = unknownFields(fields, ["fields"]);
  if (unknown !== undefined) {
    return [refuse(fields, { name: unknown, what: "it is unknown", context })];
  }
  return fields.maps("fields").map((field) => icmpField(field, context));
}

function icmpField(fields: Fields, context: PortContext): Found {
  const no = (name: string, what: string): undefined => refuse(fields, { name, what, context });
  const [unknown] = unknownFields(fields, ["family", "type"]);
  if (unknown !== undefined) return no(unknown, "it is unknown");
  const family = fields.optionalText("family") || "IPv4";
  if (family !== "IPv4" && family !== "IPv6") throw fields.error("family", "want IPv4 or IPv6");
  const written = fields.integerOrText("type", ICMP_TYPE);
  if (written === undefined) throw fields.error("type", "it is missing");
  const names = family === "IPv4" ? ICMP_TYPES : ICMPV6_TYPES;
  const type = typeof written === "number" ? written : (names.get(written) ?? digits(written));
  if (type === undefined) return no("type", "no ICMP type of this family has this name");
  return [{ protocol: family === "IPv4" ? "ICMP" : "ICMPv6", type }];
}

function digits(text: string): number | undefined {
  return /^\d{1,3}$/.test(text) && Number(text) <= ICMP_TYPE.max ? Number(text) : undefined;
}

function refuse(
  fields: Fields,
  found: { readonly name: string; readonly what: string; readonly context: PortContext },
): undefined {
  const { name, what, context } = found;
  const effect = context.verdict === "allow" ? "allows no port by it" : "denies every port";
  context.refusals.add(fields, { name, reason: `${what}; the rule ${effect}` });
  return undefined;
}
