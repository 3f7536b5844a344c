// A policy's rules, made ready: ports as prefixes, rules with their numbers. What they name of
// peers is looked for only while an endpoint of this node is a subject.
import { parsePrefix, type Prefix } from "../../mesh/core/address.ts";
import type {
  Policy,
  PolicyDirection,
  PolicyPeer,
  PolicyRule,
  TrafficRule,
} from "../../mesh/core/policy.ts";
import type { LabelSelector } from "../../mesh/core/selector.ts";
import type { PeerSet, PeerSets } from "./peer-sets.ts";
import type { RuleRef } from "./plane.ts";
import {
  EVERY_PORT,
  isNamed,
  prefixesFromMatch,
  type NamedPortMatch,
  type PortPrefix,
} from "./port-prefixes.ts";
import type { RuleNumbers } from "./rule-numbers.ts";

export interface CompiledRule {
  /** `policyKey()` of its object. */
  readonly policy: string;
  readonly subject: LabelSelector;
  readonly defaultDeny: Readonly<Record<PolicyDirection, boolean>>;
  readonly traffic: readonly CompiledTraffic[];
  /** All that it names, exceptions too. */
  readonly prefixes: readonly Prefix[];
}

export interface CompiledTraffic {
  readonly direction: PolicyDirection;
  readonly verdict: "allow" | "deny";
  readonly rule: RuleRef;
  readonly path: string;
  /** Undefined is anybody. */
  readonly peers: readonly (PolicyPeer | undefined)[];
  readonly ports: readonly PortPrefix[];
  /** Ports by name, of the subject (ingress) or of the peer (egress). */
  readonly named: readonly NamedPortMatch[];
}

export function compilePolicy(
  key: string,
  { policy, numbers }: { readonly policy: Policy; readonly numbers: RuleNumbers },
): CompiledRule[] {
  // Before anything is numbered: what cannot be read must not leave half a policy behind.
  const prefixes = policy.rules.map(prefixesOf);
  return policy.rules.map(({ subject, defaultDeny, ingress, egress }, i) => {
    const compile = (direction: PolicyDirection, rule: TrafficRule): CompiledTraffic => ({
      direction,
      verdict: rule.verdict,
      rule: numbers.acquire({ policy: key, path: rule.path }),
      path: rule.path,
      peers: rule.peers ?? [undefined],
      ...compilePorts(rule),
    });
    return {
      policy: key,
      subject,
      defaultDeny,
      traffic: [
        ...ingress.map((rule) => compile("ingress", rule)),
        ...egress.map((rule) => compile("egress", rule)),
      ],
      prefixes: prefixes[i] ?? [],
    };
  });
}

function prefixesOf({ ingress, egress }: PolicyRule): Prefix[] {
  const peers = [...ingress, ...egress].flatMap((rule) => rule.peers ?? []);
  return peers.flatMap((peer) =>
    peer.kind === "cidr" ? [peer.cidr, ...peer.except].map((text) => parsePrefix(text)) : [],
  );
}

function compilePorts({ ports }: TrafficRule): Pick<CompiledTraffic, "ports" | "named"> {
  if (ports === undefined) return { ports: [EVERY_PORT], named: [] };
  return {
    ports: ports.flatMap((match) => (isNamed(match) ? [] : prefixesFromMatch(match))),
    named: ports.filter(isNamed),
  };
}

/** The peer sets of traffic rules, each acquired for as long as somebody uses the rule. */
export interface TrafficPeers {
  acquire(traffic: CompiledTraffic): readonly PeerSet[];
  release(traffic: CompiledTraffic): void;
  /** Of a rule that somebody uses. */
  setsOf(traffic: CompiledTraffic): readonly PeerSet[];
}

export function createTrafficPeers(peers: PeerSets): TrafficPeers {
  const active = new Map<CompiledTraffic, { uses: number; readonly sets: readonly PeerSet[] }>();
  return {
    acquire(traffic) {
      let found = active.get(traffic);
      if (found === undefined) {
        const sets = traffic.peers.map((peer) => peers.acquire(peer));
        active.set(traffic, (found = { uses: 0, sets }));
      }
      found.uses++;
      return found.sets;
    },
    release(traffic) {
      const found = active.get(traffic);
      if (found === undefined || --found.uses > 0) return;
      active.delete(traffic);
      for (const set of found.sets) peers.release(set);
    },
    setsOf: (traffic) => active.get(traffic)?.sets ?? [],
  };
}
