// A small mesh to test with by hand: two clusters, a few pods, and short words for policies.
import { createPolicyEngine, type PolicyEngine } from "../../../../agent/policy/engine.ts";
import type {
  Policy,
  PolicyPeer,
  PolicyRule,
  PortMatch,
  TrafficRule,
} from "../../../../mesh/core/policy.ts";
import { createSelector, type LabelSelector } from "../../../../mesh/core/selector.ts";
import { OWN } from "./naive-verdict.ts";

export const CLUSTER_LABEL = "k8s:io.cilium.k8s.policy.cluster";
/** Identities: pods of the own cluster and of another one. */
export const CART = 65_536;
export const WEB = 65_537;
export const REMOTE_WEB = 131_072;

export const labels = (app: string, cluster = "east"): string[] => [
  `k8s:app=${app}`,
  `${CLUSTER_LABEL}=${cluster}`,
];

export const app = (name: string): LabelSelector =>
  createSelector([{ key: "k8s:app", operator: "In", values: [name] }]);
export const pods = (name: string): PolicyPeer => ({ kind: "pods", selector: app(name) });
export const cidr = (text: string, ...except: string[]): PolicyPeer => ({
  kind: "cidr",
  cidr: text,
  except,
});
export const tcp = (first: number, last = first): PortMatch => ({ protocol: "TCP", first, last });
export const portNamed = (name: string): PortMatch => ({ protocol: "TCP", name });

export const allow = (peers?: readonly PolicyPeer[], ports?: readonly PortMatch[]): Traffic => ({
  verdict: "allow",
  peers,
  ports,
});
export const deny = (peers?: readonly PolicyPeer[], ports?: readonly PortMatch[]): Traffic => ({
  ...allow(peers, ports),
  verdict: "deny",
});

type Traffic = Omit<TrafficRule, "path">;

/** A policy of one rule, by which deny is the default wherever it says anything. */
export function policy(said: {
  readonly subject?: LabelSelector;
  readonly ingress?: readonly Traffic[];
  readonly egress?: readonly Traffic[];
  readonly defaultDeny?: PolicyRule["defaultDeny"];
}): Policy {
  const { subject = app("cart"), ingress, egress } = said;
  const numbered = (direction: string, rules: readonly Traffic[] = []): TrafficRule[] =>
    rules.map((rule, i) => ({ ...rule, path: `spec.${direction}[${i}]` }));
  const rule: PolicyRule = {
    path: "spec",
    subject,
    defaultDeny: said.defaultDeny ?? {
      ingress: ingress !== undefined,
      egress: egress !== undefined,
    },
    ingress: numbered("ingress", ingress),
    egress: numbered("egress", egress),
  };
  return { kind: "NetworkPolicy", namespace: "shop", name: "p", rules: [rule], refusals: [] };
}

/** An engine that knows the pods, with the endpoint "cart" on its node; nothing is taken yet. */
export function startEngine(
  options: Partial<Parameters<typeof createPolicyEngine>[0]> = {},
): PolicyEngine {
  const engine = createPolicyEngine({ ownCluster: OWN, ...options });
  engine.setIdentity(CART, labels("cart"));
  engine.setIdentity(WEB, labels("web"));
  engine.setIdentity(REMOTE_WEB, labels("web", "west"));
  engine.setEndpoint("cart", { identity: CART, namedPorts: [] });
  return engine;
}

/** Takes everything; what an endpoint has then, as "direction identity protocol/port/bits". */
export function settled(engine: PolicyEngine, key = "cart"): string[] {
  for (let unfinished = true; unfinished;) ({ unfinished } = engine.take());
  return [...(engine.entriesOf(key)?.values() ?? [])]
    .map((entry) => {
      const { direction, identity, protocol, port, portPrefixBits, verdict } = entry;
      return `${verdict} ${direction} ${identity} ${protocol}/${port}/${portPrefixBits}`;
    })
    .sort();
}
