// What the kernel does with a first packet, by its own rows and nothing else: the mode of the node,
// the row of the endpoint, and three planes of its map, as the programs look them up.
import { PolicyEnforcement, PolicyMode, TrafficDirection } from "../../bpf/gen/layout.ts";
import type { EndpointPolicyMap } from "../../bpf/policy-maps.ts";
import type { TraceVerdict } from "../../mesh/api/policy-messages.ts";
import type { IdentityRange } from "../../mesh/core/identity.ts";
import { entryFromMapRow } from "../apply/policy-target.ts";
import type { PolicyQuestion } from "../policy/engine.ts";
import { AGGREGATE, aggregateOf, type PolicyEntry } from "../policy/entry.ts";
import type { PolicyReportParts } from "./policy-parts.ts";
import { planeText } from "./policy-words.ts";

export type DatapathQuestion = Omit<PolicyQuestion, "endpoint"> & {
  /** Undefined for a pod without one. */
  readonly ifindex: number | undefined;
};

/** All bits of a key: identity, direction, protocol, port. */
const WHOLE_KEY_BITS = 64;
const DIRECTION = { ingress: TrafficDirection.ingress, egress: TrafficDirection.egress } as const;

export function datapathVerdict(
  question: DatapathQuestion,
  {
    parts,
    ownRange,
  }: {
    readonly parts: Pick<PolicyReportParts, "policies" | "maps" | "engine">;
    readonly ownRange: IdentityRange;
  },
): TraceVerdict {
  const { ifindex } = question;
  const mode = parts.maps.policyNode.get(0)?.mode ?? PolicyMode.off;
  if (mode === PolicyMode.off) return told("allow", "policy is not enforced on this node");
  if (ifindex === undefined) return told("", "the pod has no interface on this node yet");
  const row = parts.maps.policyState.get({ ifindex });
  if (row === undefined) {
    return mode === PolicyMode.open
      ? told("allow", "no row for the pod, and the cluster has no policy")
      : told("deny", "closed: no row for the pod yet");
  }
  if (row.enforcement !== PolicyEnforcement.on) {
    return told("deny", "closed: its policy does not fit, or its identity is not known");
  }
  using map = parts.policies.open(ifindex);
  if (map === undefined) return told("deny", "closed: the pod's map is missing");
  const aggregate = aggregateOf(question.identity, ownRange);
  const planes = new Set([question.identity, aggregate ?? AGGREGATE.anybody, AGGREGATE.anybody]);
  const found = [...planes].flatMap((plane) => lookUp(map, question, plane));
  const decides = found.find(({ verdict }) => verdict === "deny") ?? found[0];
  if (decides === undefined) return told("deny", "no entry allows it");
  const { verdict, rule, identity } = decides;
  const plane = planeText(identity) === "" ? `identity ${identity}` : planeText(identity);
  const by = verdict === "allow" ? "allowed" : "denied";
  return {
    verdict,
    why: `${by} by the entry for ${plane}`,
    rule: parts.engine.ruleOf(rule)[0] ?? null,
  };
}

/** The entry that the kernel finds there; its key is not told, and not needed. */
function lookUp(
  map: Pick<EndpointPolicyMap, "get">,
  { direction, protocol, port }: DatapathQuestion,
  identity: number,
): PolicyEntry[] {
  const key = {
    prefixLength: WHOLE_KEY_BITS,
    identity,
    direction: DIRECTION[direction],
    protocol,
    port,
  };
  const entry = map.get(key);
  return entry === undefined ? [] : [entryFromMapRow([key, entry])];
}

function told(verdict: TraceVerdict["verdict"], why: string): TraceVerdict {
  return { verdict, why, rule: null };
}
