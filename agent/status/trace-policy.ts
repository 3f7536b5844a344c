// What `mesh policy trace` asks of a node: what becomes of a packet that was never sent, by the
// policies and by the kernel's own map, side by side.
import type {
  AgentTrace,
  TracedRule,
  TraceRequest,
  TraceVerdict,
} from "../../mesh/api/policy-messages.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { IdentityRange } from "../../mesh/core/identity.ts";
import type { PortMatch, TrafficRule } from "../../mesh/core/policy.ts";
import type { IdentityBook } from "../observe/identity-book.ts";
import { protocolFromName } from "../observe/words.ts";
import type { PolicyAnswer, PolicyQuestion, SpeakingRule } from "../policy/engine.ts";
import { aggregateOf } from "../policy/entry.ts";
import { datapathVerdict } from "./datapath-verdict.ts";
import { nodePods, type NodePod } from "./node-pods.ts";
import { peerIdentityOf } from "./peer-counts.ts";
import { peerMeans } from "./peer-members.ts";
import type { PolicyReportParts } from "./policy-parts.ts";
import { becauseText, entryPortText, peerText, planeText, portText } from "./policy-words.ts";
import { findTracePeer, type TracePeer } from "./trace-peer.ts";

export interface TraceContext {
  readonly parts: PolicyReportParts;
  readonly book: IdentityBook;
  readonly ownRange: IdentityRange;
}

const LAST_PORT = 65_535;

/** Throws `not_found` and `invalid_argument`. */
export function tracePolicy(request: TraceRequest, context: TraceContext): AgentTrace {
  const { parts, book, ownRange } = context;
  const packet = packetOf(request);
  const pod = findPod(request, parts);
  const peer = findTracePeer(request, context);
  const key = pod.endpoint?.key ?? "";
  const answer = parts.engine.explain({ ...packet, endpoint: key, identity: peer.identity });
  return {
    node: parts.nodeName,
    cluster: parts.cluster.name,
    identity: pod.identity,
    labels: book.identity(pod.identity).labels,
    peerAddress: peer.address,
    peerIdentity: peer.identity,
    peerAggregate: aggregateOf(peer.identity, ownRange) ?? 0,
    peerLabels: book.identity(peer.identity).labels,
    defaultDeny: parts.engine.stateOf(key)?.defaultDeny[request.direction] ?? false,
    policy: answer === undefined ? NOT_KNOWN : policyVerdict(answer),
    datapath: datapathAnswer({ packet, pod, peer }, context),
    rules: (answer?.rules ?? []).map((rule, i) => ({
      ...tracedRule(rule, { packet, peer, context }),
      decides: i === 0 && answer?.because === "rule",
    })),
  };
}

type Packet = Pick<PolicyQuestion, "direction" | "protocol" | "port">;

const NOT_KNOWN: TraceVerdict = {
  verdict: "",
  why: "the pod has no interface, or its identity is not known yet",
  rule: null,
};

export function findPod(
  { namespace, name }: Pick<TraceRequest, "namespace" | "name">,
  parts: PolicyReportParts,
): NodePod {
  const found = nodePods(parts).find((pod) => pod.namespace === namespace && pod.name === name);
  if (found !== undefined) return found;
  throw new MeshError(
    "not_found",
    `Cannot find pod "${namespace}/${name}" on node "${parts.nodeName}"`,
    { hint: "`mesh endpoint list` shows the pods of each node" },
  );
}

function packetOf({ direction, protocol: name, port }: TraceRequest): Packet {
  const protocol = protocolFromName(name);
  if (protocol === undefined || protocol === 0) {
    throw new MeshError(
      "invalid_argument",
      `Cannot trace protocol "${name}": want TCP, UDP, SCTP, ICMP or ICMPv6`,
    );
  }
  if (direction !== "ingress" && direction !== "egress") {
    throw new MeshError(
      "invalid_argument",
      `Cannot trace direction "${String(direction)}": want ingress or egress`,
    );
  }
  if (port > LAST_PORT) {
    throw new MeshError("invalid_argument", `Cannot trace port ${port}: want at most ${LAST_PORT}`);
  }
  return { direction, protocol, port };
}

function policyVerdict(answer: PolicyAnswer): TraceVerdict {
  const { verdict, because, rules } = answer;
  const [first] = rules;
  const rule = because === "rule" && first !== undefined ? nameOf(first) : null;
  return { verdict, why: becauseText(answer), rule };
}

function datapathAnswer(
  asked: { readonly packet: Packet; readonly pod: NodePod; readonly peer: TracePeer },
  context: TraceContext,
): TraceVerdict {
  const { packet, pod, peer } = asked;
  const ifindex = pod.endpoint?.ifindex;
  const identity = peer.kernelIdentity;
  const told = datapathVerdict({ ...packet, identity, ifindex }, context);
  if (identity === peer.identity) return told;
  return { ...told, why: `${told.why}; the ipcache takes ${peer.address} for ${identity}` };
}

function tracedRule(
  speaking: SpeakingRule,
  asked: { readonly packet: Packet; readonly peer: TracePeer; readonly context: TraceContext },
): Omit<TracedRule, "decides"> {
  const { packet, peer, context } = asked;
  const rule = findRule(speaking, context);
  return {
    rule: nameOf(speaking),
    verdict: speaking.verdict,
    peer: rule?.peers === undefined ? planeText(speaking.identity) : peerOf(rule, peer, context),
    port: rule?.ports === undefined ? "" : portOf(rule.ports, { packet, speaking }),
  };
}

function nameOf({ policy, path }: SpeakingRule): { policy: string; path: string } {
  return { policy, path };
}

/** As it is written now; the engine may still speak of what it was. */
function findRule(
  { policy, path }: SpeakingRule,
  { parts }: TraceContext,
): TrafficRule | undefined {
  for (const { ingress, egress } of parts.intent.own.policies.get(policy)?.rules ?? []) {
    const found = [...ingress, ...egress].find((rule) => rule.path === path);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The first of its peers that means the other end. */
function peerOf(
  { peers = [] }: TrafficRule,
  { identity }: TracePeer,
  context: TraceContext,
): string {
  const { labels } = context.book.identity(identity);
  const who = peerIdentityOf({ number: identity, labels, prefix: context.book.prefixOf(identity) });
  const found = peers.find((peer) => peerMeans(peer, who, context.ownRange));
  return found === undefined ? "" : peerText(found);
}

/** The first of its ports that means the packet's; a name means what pods say that it does. */
function portOf(
  ports: readonly PortMatch[],
  { packet, speaking }: { readonly packet: Packet; readonly speaking: SpeakingRule },
): string {
  const found = ports.find((match) => portMeans(match, packet)) ?? ports.find((m) => "name" in m);
  return found === undefined ? entryPortText(speaking) : portText(found);
}

function portMeans(match: PortMatch, { protocol, port }: Packet): boolean {
  const wanted = protocolFromName(match.protocol);
  if (wanted !== 0 && wanted !== protocol) return false;
  if ("type" in match) return match.type === port;
  return "first" in match && match.first <= port && port <= match.last;
}
