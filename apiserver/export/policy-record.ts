// A policy's object and what it depends on → the policy that agents read. Pure. Selectors that name
// no cluster are given theirs, and services become the pods or addresses behind them.
import type {
  Policy,
  PolicyPeer,
  PolicyRefusal,
  PolicyScope,
  TrafficRule,
} from "../../mesh/core/policy.ts";
import { createSelector, type LabelSelector } from "../../mesh/core/selector.ts";
import {
  CLUSTER_LABEL,
  identityCarriesKey,
  NAMESPACE_LABEL,
} from "../../mesh/kvstore/records/identity-labels.ts";
import type { ServiceObject } from "../source/objects.ts";
import type {
  PeerObject,
  PolicyObject,
  ServicePeer,
  TrafficObject,
} from "../source/policy/policy-object.ts";

const CLUSTER_KEYS = [CLUSTER_LABEL, CLUSTER_LABEL.replace(/^k8s:/, "any:")];

export interface FoundService {
  readonly service: ServiceObject;
  /** Of its endpoints; asked for only if it selects no pods. */
  readonly addresses: () => readonly string[];
}

export interface PolicySurroundings {
  readonly cluster: string;
  readonly scope: PolicyScope;
  readonly services: (peer: ServicePeer) => readonly FoundService[];
}

export function policyFromObject(object: PolicyObject, around: PolicySurroundings): Policy {
  const refusals: PolicyRefusal[] = [...object.refusals];
  const context = { around, refusals };
  const traffic = (rules: readonly TrafficObject[]): TrafficRule[] =>
    rules.map((rule) => ({
      ...rule,
      peers: rule.peers?.flatMap((peer) => peersFromObject(peer, { ...context, rule })),
    }));
  const rules = object.rules.map((rule) => ({
    ...rule,
    ingress: traffic(rule.ingress),
    egress: traffic(rule.egress),
  }));
  return { ...object, rules, refusals };
}

interface Context {
  readonly around: PolicySurroundings;
  readonly refusals: PolicyRefusal[];
  readonly rule: TrafficObject;
}

function peersFromObject(peer: PeerObject, context: Context): PolicyPeer[] {
  const { around } = context;
  if (peer.kind === "pods") return [{ kind: "pods", selector: inScope(peer.selector, around) }];
  if (peer.kind !== "services") return [peer];
  return around.services(peer).flatMap((found) => servicePeers(found, context));
}

function inScope(
  selector: LabelSelector,
  { cluster, scope }: Pick<PolicySurroundings, "cluster" | "scope">,
): LabelSelector {
  if (scope === "all" || selector.some(({ key }) => CLUSTER_KEYS.includes(key))) return selector;
  return createSelector([...selector, { key: CLUSTER_LABEL, operator: "In", values: [cluster] }]);
}

function servicePeers(
  { service, addresses }: FoundService,
  { around, refusals, rule }: Context,
): PolicyPeer[] {
  if (service.selector.size === 0) {
    return addresses().map((address) => ({
      kind: "cidr",
      cidr: `${address}/${address.includes(":") ? 128 : 32}`,
      except: [],
    }));
  }
  const keys = [...service.selector.keys()];
  const unseen = keys.find((key) => !identityCarriesKey(key));
  if (unseen !== undefined) {
    const effect = rule.verdict === "allow" ? "its pods are not allowed" : "more pods are denied";
    const message = `Service ${service.namespace}/${service.name} selects by the label "${unseen}", which is not part of identities; ${effect}`;
    refusals.push({ path: `${rule.path}.toServices`, message });
    if (rule.verdict === "allow") return [];
  }
  const selector = createSelector([
    { key: NAMESPACE_LABEL, operator: "In", values: [service.namespace] },
    ...[...service.selector]
      .filter(([key]) => identityCarriesKey(key))
      .map(([key, value]) => ({ key: `k8s:${key}`, operator: "In" as const, values: [value] })),
  ]);
  return [{ kind: "pods", selector: inScope(selector, around) }];
}
