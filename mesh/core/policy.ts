// Policies in one shape, whatever they were written in: what the apiserver makes of NetworkPolicy,
// CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy, and agents enforce.
//
// A rule names its subjects, the pods of its own cluster that it is about. A subject whose rules
// say `defaultDeny` for a direction drops there what no rule allows; a deny wins over every allow.
import type { LabelSelector } from "./selector.ts";

export const POLICY_KINDS = [
  "NetworkPolicy",
  "CiliumNetworkPolicy",
  "CiliumClusterwideNetworkPolicy",
] as const;
export type PolicyKind = (typeof POLICY_KINDS)[number];

/** From the subject's point of view. */
export type PolicyDirection = "ingress" | "egress";

export interface Policy {
  readonly kind: PolicyKind;
  /** "" for a kind without namespaces. */
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** What of it cannot be honoured; what that covers fails closed. */
  readonly refusals: readonly PolicyRefusal[];
}

export interface PolicyRefusal {
  /** Where in the object: `spec.ingress[0].toPorts[0].rules`. */
  readonly path: string;
  /** One sentence: what it is, and what becomes of the traffic. */
  readonly message: string;
}

export interface PolicyRule {
  /** Where in the object: `spec`, `specs[1]`. */
  readonly path: string;
  readonly subject: LabelSelector;
  readonly defaultDeny: Readonly<Record<PolicyDirection, boolean>>;
  readonly ingress: readonly TrafficRule[];
  readonly egress: readonly TrafficRule[];
}

/** Peers × ports. */
export interface TrafficRule {
  /** Where in the object: `spec.ingress[0]`. */
  readonly path: string;
  readonly verdict: "allow" | "deny";
  /** Undefined: whoever it is. An empty list is nobody. */
  readonly peers: readonly PolicyPeer[] | undefined;
  /** Undefined: whatever it is. An empty list is nothing. */
  readonly ports: readonly PortMatch[] | undefined;
}

export type PolicyPeer =
  /** Pods of any cluster by their identity's labels; never hosts or the world. */
  | { readonly kind: "pods"; readonly selector: LabelSelector }
  | { readonly kind: "entity"; readonly entity: PolicyEntity }
  /** Addresses outside the mesh: no pod, no node. Canonical prefixes, `except` within `cidr`. */
  | { readonly kind: "cidr"; readonly cidr: string; readonly except: readonly string[] };

export const POLICY_ENTITIES = [
  /** Everybody. */
  "all",
  /** What is neither a pod nor a node of the mesh. */
  "world",
  "world-ipv4",
  "world-ipv6",
  /** Pods and nodes of the subject's own cluster; remote nodes cannot be told apart by cluster. */
  "cluster",
  /** The subject's own node. */
  "host",
  /** Every other node of the mesh. */
  "remote-node",
  "health",
  "init",
  "ingress",
  "unmanaged",
  "none",
] as const;
export type PolicyEntity = (typeof POLICY_ENTITIES)[number];

export type PortMatch =
  /** 0 … 65535, both inclusive; `ANY` is TCP, UDP and SCTP. */
  | {
      readonly protocol: "TCP" | "UDP" | "SCTP" | "ANY";
      readonly first: number;
      readonly last: number;
    }
  /** A container port of the pod that is asked. */
  | { readonly protocol: "TCP" | "UDP" | "SCTP" | "ANY"; readonly name: string }
  | { readonly protocol: "ICMP" | "ICMPv6"; readonly type: number };

/** What a peer selector means that names no cluster: its own, or every one. */
export const POLICY_SCOPES = ["local", "all"] as const;
export type PolicyScope = (typeof POLICY_SCOPES)[number];

/** `NetworkPolicy/shop/web`, `CiliumClusterwideNetworkPolicy/base`: unique in a cluster. */
export function policyKey({
  kind,
  namespace,
  name,
}: Pick<Policy, "kind" | "namespace" | "name">): string {
  return namespace === "" ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;
}
