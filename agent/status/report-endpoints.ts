// What `mesh endpoint` shows: who a pod of the node is, and what the kernel enforces at it.
import { PolicyEnforcement, PolicyMode } from "../../bpf/gen/layout.ts";
import { endpointPolicyMap } from "../../bpf/gen/maps.ts";
import type { AgentEndpoint, AgentPolicyEntry } from "../../mesh/api/policy-messages.ts";
import { entryFromMapRow } from "../apply/policy-target.ts";
import type { IdentityBook } from "../observe/identity-book.ts";
import { protocolName } from "../observe/words.ts";
import type { PolicyEntry } from "../policy/entry.ts";
import type { NodePod } from "./node-pods.ts";
import type { PolicyCosts } from "./policy-costs.ts";
import type { PolicyReportParts } from "./policy-parts.ts";
import { CLOSED_WORDS, entryPorts } from "./policy-words.ts";

export interface EndpointContext {
  readonly parts: PolicyReportParts;
  readonly book: IdentityBook;
  readonly costs: PolicyCosts;
}

/** Without its entries. */
export function endpointOf(pod: NodePod, context: EndpointContext): AgentEndpoint {
  const { engine, maps } = context.parts;
  const { endpoint, identity, namespace, name } = pod;
  const state = endpoint && engine.stateOf(endpoint.key);
  const row = endpoint && maps.policyState.get({ ifindex: endpoint.ifindex });
  const problem = problemOf(pod, context.parts);
  return {
    namespace,
    name,
    addresses: endpoint?.addresses ?? [],
    interfaceIndex: endpoint?.ifindex ?? 0,
    identity,
    labels: identity === 0 ? [] : context.book.identity(identity).labels,
    revision: row?.revision ?? 0,
    inForce: problem === "",
    ingressDefaultDeny: state?.defaultDeny.ingress ?? false,
    egressDefaultDeny: state?.defaultDeny.egress ?? false,
    entryCount: state?.entries ?? 0,
    entryLimit: endpointPolicyMap.maxEntries,
    problem,
    costs: [...context.costs(pod)]
      .map(([policy, entries]) => ({ policy, entries }))
      .sort((a, b) => b.entries - a.entries || (a.policy < b.policy ? -1 : 1)),
    entries: [],
  };
}

/** As the kernel's map holds them now: by direction, identity, protocol and port. */
export function entriesOf(
  { endpoint }: NodePod,
  context: Pick<EndpointContext, "parts" | "book">,
): AgentPolicyEntry[] {
  if (endpoint === undefined) return [];
  using map = context.parts.policies.open(endpoint.ifindex);
  if (map === undefined) return [];
  return Array.from(map.entries(), entryFromMapRow)
    .sort(compareEntries)
    .map((entry) => agentEntry(entry, context));
}

/** Why it is not as the policies want it; "" if the kernel holds what was last computed. */
export function problemOf(
  { endpoint }: NodePod,
  { engine, planner, maps }: Pick<PolicyReportParts, "engine" | "planner" | "maps">,
): string {
  const mode = maps.policyNode.get(0)?.mode ?? PolicyMode.off;
  if (mode === PolicyMode.off) return "policy is not enforced on this node";
  if (endpoint === undefined) return "it has no interface yet";
  const row = maps.policyState.get({ ifindex: endpoint.ifindex });
  // The cluster has no policy: whoever it is, it may do everything.
  if (row === undefined && mode === PolicyMode.open) return "";
  const state = engine.stateOf(endpoint.key);
  if (state === undefined) return CLOSED_WORDS["unknown-identity"];
  if (state.closed !== undefined) return CLOSED_WORDS[state.closed];
  if (!planner.isReady()) {
    return "not all policies and identities are known yet: what an earlier agent wrote holds";
  }
  if (!planner.isCurrent()) return "policies have changed, and are being written";
  const written = planner.enforced.get(endpoint.key);
  if (written === undefined) return "its policy is not written yet";
  if (written.problem !== "") return written.problem;
  if (row?.enforcement !== PolicyEnforcement.on || row.identity !== state.identity) {
    return "the kernel's row for its interface does not say what was written";
  }
  return "";
}

function agentEntry(
  entry: PolicyEntry,
  { parts, book }: Pick<EndpointContext, "parts" | "book">,
): AgentPolicyEntry {
  const { direction, identity, protocol, verdict, rule } = entry;
  const { first, last } = entryPorts(entry);
  return {
    direction,
    identity,
    cidr: book.prefixOf(identity),
    protocol: protocolName(protocol),
    firstPort: first,
    lastPort: last,
    verdict,
    rule: parts.engine.ruleOf(rule)[0] ?? null,
  };
}

function compareEntries(a: PolicyEntry, b: PolicyEntry): number {
  return (
    (a.direction === b.direction ? 0 : a.direction < b.direction ? -1 : 1) ||
    a.identity - b.identity ||
    a.protocol - b.protocol ||
    a.port - b.port ||
    a.portPrefixBits - b.portPrefixBits
  );
}
