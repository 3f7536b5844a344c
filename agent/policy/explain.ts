// Why a packet passes or does not: every rule that speaks about it, and what follows. It looks at
// what rules say, not at entries, so it names those too that others have made superfluous. Pure.
import { RESERVED_IDENTITY, type IdentityNumber } from "../../mesh/core/identity.ts";
import type { PolicyDirection } from "../../mesh/core/policy.ts";
import { AGGREGATE } from "./entry.ts";
import type { RuleRef } from "./plane.ts";
import { portPrefixHolds, type PortPrefix } from "./port-prefixes.ts";
import type { ClosedReason } from "./profile.ts";
import type { RuleName } from "./rule-numbers.ts";
import type { Side } from "./side.ts";

export interface PolicyPacket {
  readonly direction: PolicyDirection;
  /** Whoever is at the other end. */
  readonly identity: IdentityNumber;
  /** IP protocol. */
  readonly protocol: number;
  /** The destination's; of ICMP the type; 0 for protocols that have none. */
  readonly port: number;
}

export interface PolicyAnswer {
  readonly verdict: "allow" | "deny";
  /** What decides: a rule, the direction's default, the own host's right, or that it is closed. */
  readonly because: "rule" | "default-allow" | "default-deny" | "host" | ClosedReason;
  /** All that speak about the packet, the one that decides first: denies before allows. */
  readonly rules: readonly SpeakingRule[];
}

export interface SpeakingRule extends RuleName {
  readonly number: number;
  readonly verdict: "allow" | "deny";
  /** The plane in which it says so, and for which protocol and ports. */
  readonly identity: IdentityNumber;
  readonly protocol: number;
  readonly port: number;
  readonly portPrefixBits: number;
}

export interface ExplainOptions {
  readonly side: Side;
  readonly closed: ClosedReason | undefined;
  readonly aggregate: IdentityNumber | undefined;
  readonly nameOf: (number: number) => RuleName | undefined;
}

interface Spoken {
  readonly rule: RuleRef;
  readonly verdict: "allow" | "deny";
  readonly plane: IdentityNumber;
  readonly prefix: PortPrefix;
}

export function explainPacket(packet: PolicyPacket, options: ExplainOptions): PolicyAnswer {
  const spoken = spokenAbout(packet, options);
  const rules = spoken.flatMap(({ rule, verdict, plane, prefix }) => {
    const name = options.nameOf(rule.number);
    const { protocol, port, bits: portPrefixBits } = prefix;
    const where = { identity: plane, protocol, port, portPrefixBits };
    return name === undefined ? [] : [{ ...name, number: rule.number, verdict, ...where }];
  });
  return { ...decide(packet, { ...options, first: spoken[0]?.verdict }), rules };
}

function decide(
  { direction, identity }: PolicyPacket,
  options: ExplainOptions & { readonly first: "allow" | "deny" | undefined },
): Omit<PolicyAnswer, "rules"> {
  const { side, closed, first } = options;
  if (closed !== undefined) return { verdict: "deny", because: closed };
  if (first === "deny") return { verdict: "deny", because: "rule" };
  if (!side.isDefaultDeny) return { verdict: "allow", because: "default-allow" };
  if (first === "allow") return { verdict: "allow", because: "rule" };
  const isHost = identity === RESERVED_IDENTITY.host && direction === "ingress";
  return isHost
    ? { verdict: "allow", because: "host" }
    : { verdict: "deny", because: "default-deny" };
}

/** In order of precedence; of one rule what says it most specifically. */
function spokenAbout(packet: PolicyPacket, { side, aggregate }: ExplainOptions): Spoken[] {
  const planes = new Set([packet.identity, aggregate ?? AGGREGATE.anybody, AGGREGATE.anybody]);
  const all = [...planes].flatMap((plane, rank) =>
    side
      .spoken(plane)
      .flatMap(({ rule, verdict, ports }) =>
        ports
          .filter((prefix) => portPrefixHolds(prefix, packet.protocol, packet.port))
          .map((prefix) => ({ rule, verdict, plane, prefix, rank })),
      ),
  );
  all.sort(
    (a, b) =>
      Number(b.verdict === "deny") - Number(a.verdict === "deny") ||
      a.rank - b.rank ||
      prefixLength(b.prefix) - prefixLength(a.prefix) ||
      (a.rule.order < b.rule.order ? -1 : Number(a.rule.order > b.rule.order)),
  );
  const first = new Map<RuleRef, Spoken>();
  for (const spoken of all) if (!first.has(spoken.rule)) first.set(spoken.rule, spoken);
  return [...first.values()];
}

/** Every protocol is shorter than any port of one. */
function prefixLength({ protocol, bits }: PortPrefix): number {
  return protocol === 0 ? -1 : bits;
}
