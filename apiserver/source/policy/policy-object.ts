// A policy as its object says it: the shape of mesh/core/policy.ts, but for what only the exporter
// can say, because it depends on other objects or on the cluster: which pods a Service has, and
// which clusters a selector means that names none.
import type {
  PolicyKind,
  PolicyPeer,
  PolicyRefusal,
  PolicyRule,
  TrafficRule,
} from "../../../mesh/core/policy.ts";
import type { LabelSelector } from "../../../mesh/core/selector.ts";

export interface PolicyObject<K extends PolicyKind = PolicyKind> {
  readonly kind: K;
  /** "" for a kind without namespaces. */
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly RuleObject[];
  readonly refusals: readonly PolicyRefusal[];
}

export interface RuleObject extends Omit<PolicyRule, "ingress" | "egress"> {
  readonly ingress: readonly TrafficObject[];
  readonly egress: readonly TrafficObject[];
}

export interface TrafficObject extends Omit<TrafficRule, "peers"> {
  readonly peers: readonly PeerObject[] | undefined;
}

export type PeerObject = PolicyPeer | ServicePeer;

/** Services of the own cluster: one by its name, or those with such labels. */
export interface ServicePeer {
  readonly kind: "services";
  /** "" for every namespace. */
  readonly namespace: string;
  /** "" for every name. */
  readonly name: string;
  /** Over the labels of Services, as `k8s:key`. */
  readonly selector: LabelSelector;
}
