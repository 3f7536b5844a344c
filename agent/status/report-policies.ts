// What `mesh policy list` shows of a node: the cluster's policies as the node understands them,
// the pods of the node that they are about, and what they cost there.
import type {
  AgentPolicy,
  AgentPolicyRule,
  AgentTrafficRule,
} from "../../mesh/api/policy-messages.ts";
import { PolicyMode } from "../../bpf/gen/layout.ts";
import { RESERVED_IDENTITY, type IdentityRange } from "../../mesh/core/identity.ts";
import {
  policyKey,
  type Policy,
  type PolicyDirection,
  type PolicyPeer,
  type PolicyRule,
  type TrafficRule,
} from "../../mesh/core/policy.ts";
import {
  labelsFromTexts,
  selectorMatches,
  selectorText,
  type Labels,
} from "../../mesh/core/selector.ts";
import { FIRST_CIDR_NUMBER } from "../policy/entry.ts";
import type { IdentityBook } from "../observe/identity-book.ts";
import { nodePods, type NodePod } from "./node-pods.ts";
import { countPeers, peerKey, type CountedIdentity } from "./peer-counts.ts";
import { createPolicyCosts } from "./policy-costs.ts";
import type { PolicyReportParts } from "./policy-parts.ts";
import { peerText, portText } from "./policy-words.ts";
import { problemOf, type EndpointContext } from "./report-endpoints.ts";
import type { Turns } from "./turns.ts";

export interface PoliciesContext {
  readonly parts: PolicyReportParts;
  readonly book: IdentityBook;
  readonly ownRange: IdentityRange;
  readonly turns: Turns;
}

/** A pod of the node, with what is asked of it for every policy. */
interface Subject {
  readonly name: string;
  readonly labels: Labels;
  /** By policies that the engine knows to be about it. */
  readonly costs: ReadonlyMap<string, number>;
  readonly policies: ReadonlySet<string>;
  readonly isEnforced: boolean;
}

/** Those of a namespace; all, those without one included, for "". */
export async function reportPolicies(
  namespace: string,
  context: PoliciesContext,
): Promise<AgentPolicy[]> {
  const { parts, book } = context;
  const policies = Array.from(parts.intent.own.policies.entries(), ([, policy]) => policy)
    .filter((policy) => namespace === "" || policy.namespace === namespace)
    .sort((a, b) => (policyKey(a) < policyKey(b) ? -1 : 1));
  const counts = await countPeers(policies.flatMap(peersOf), {
    identities: countedIdentities(context),
    ...context,
  });
  const costs = createPolicyCosts(parts.engine);
  const subjects = nodePods(parts).map((pod) => subjectOf(pod, { parts, book, costs }));
  const isReady =
    parts.planner.isCurrent() && (parts.maps.policyNode.get(0)?.mode ?? 0) !== PolicyMode.off;
  const reported: AgentPolicy[] = [];
  for (const policy of policies) {
    reported.push(policyOf(policy, { counts, subjects, isReady }));
    await context.turns.after(subjects.length);
  }
  return reported;
}

/** All that a rule can mean: of every cluster, reserved, and the node's own numbers. */
export function* countedIdentities({
  parts,
  book,
}: Pick<PoliciesContext, "parts" | "book">): Generator<CountedIdentity> {
  for (const number of Object.values(RESERVED_IDENTITY)) {
    if (number !== RESERVED_IDENTITY.unknown) yield { number, labels: [], prefix: "" };
  }
  for (const { prefix, identity } of parts.engine.rows()) {
    if (identity >= FIRST_CIDR_NUMBER) yield { number: identity, labels: [], prefix };
  }
  for (const { identities } of book.clusters()) {
    for (const [, { number, labels }] of identities.entries()) {
      yield { number, labels, prefix: "" };
    }
  }
}

function subjectOf(pod: NodePod, { parts, book, costs }: EndpointContext): Subject {
  const { namespace, name, identity, endpoint } = pod;
  return {
    name: `${namespace}/${name}`,
    labels: labelsFromTexts(book.identity(identity).labels),
    costs: costs(pod),
    policies: new Set(endpoint && parts.engine.stateOf(endpoint.key)?.policies),
    isEnforced: problemOf(pod, parts) === "",
  };
}

function policyOf(
  policy: Policy,
  known: {
    readonly counts: ReadonlyMap<string, number>;
    readonly subjects: readonly Subject[];
    readonly isReady: boolean;
  },
): AgentPolicy {
  const { kind, namespace, name, refusals, rules } = policy;
  const key = policyKey(policy);
  const subjects = known.subjects.filter(({ labels, policies }) =>
    // A pod whose labels are not known is nobody's subject by them.
    labels.size === 0
      ? policies.has(key)
      : rules.some(({ subject }) => selectorMatches(subject, labels)),
  );
  const isInForce = subjects.every(({ isEnforced, policies }) => isEnforced && policies.has(key));
  return {
    kind,
    namespace,
    name,
    refusals,
    rules: rules.map((rule) => ruleOf(rule, known.counts)),
    endpoints: subjects.map((subject) => subject.name),
    entries: subjects.reduce((sum, { costs }) => sum + (costs.get(key) ?? 0), 0),
    inForce: known.isReady && isInForce,
  };
}

function ruleOf(
  { path, subject, defaultDeny, ingress, egress }: PolicyRule,
  counts: ReadonlyMap<string, number>,
): AgentPolicyRule {
  const traffic = (direction: PolicyDirection) => (rule: TrafficRule) =>
    trafficOf(rule, { direction, counts });
  return {
    path,
    subject: selectorText(subject),
    ingressDefaultDeny: defaultDeny.ingress,
    egressDefaultDeny: defaultDeny.egress,
    traffic: [...ingress.map(traffic("ingress")), ...egress.map(traffic("egress"))],
  };
}

function trafficOf(
  { path, verdict, peers, ports }: TrafficRule,
  {
    direction,
    counts,
  }: {
    readonly direction: PolicyDirection;
    readonly counts: ReadonlyMap<string, number>;
  },
): AgentTrafficRule {
  return {
    path,
    direction,
    verdict,
    anyPeer: peers === undefined,
    peers: (peers ?? []).map((peer) => ({
      text: peerText(peer),
      identities: counts.get(peerKey(peer)) ?? 0,
    })),
    anyPort: ports === undefined,
    ports: (ports ?? []).map(portText),
  };
}

function peersOf({ rules }: Policy): PolicyPeer[] {
  return rules.flatMap(({ ingress, egress }) =>
    [...ingress, ...egress].flatMap(({ peers }) => peers ?? []),
  );
}
