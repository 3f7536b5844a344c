// The messages of agent.proto that are about policy, identities and flows, as TypeScript sees them:
// every field set but messages, which are null where there is none; nothing 64 bits wide.

export interface RuleName {
  /** `NetworkPolicy/shop/web` */
  readonly policy: string;
  /** `spec.ingress[0]` */
  readonly path: string;
}

export type TrafficDirection = "ingress" | "egress";
export type PolicyVerdict = "allow" | "deny";

/** A pod of the node, and the policy in force at it. */
export interface AgentEndpoint {
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly interfaceIndex: number;
  readonly identity: number;
  readonly labels: readonly string[];
  readonly revision: number;
  readonly inForce: boolean;
  readonly ingressDefaultDeny: boolean;
  readonly egressDefaultDeny: boolean;
  readonly entryCount: number;
  readonly entryLimit: number;
  readonly problem: string;
  readonly costs: readonly { readonly policy: string; readonly entries: number }[];
  /** Only of one that was asked for by name. */
  readonly entries: readonly AgentPolicyEntry[];
}

export interface AgentPolicyEntry {
  readonly direction: string;
  readonly identity: number;
  readonly cidr: string;
  readonly protocol: string;
  readonly firstPort: number;
  readonly lastPort: number;
  readonly verdict: string;
  readonly rule: RuleName | null;
}

export interface AgentPolicy {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly refusals: readonly { readonly path: string; readonly message: string }[];
  readonly rules: readonly AgentPolicyRule[];
  readonly endpoints: readonly string[];
  readonly entries: number;
  readonly inForce: boolean;
}

export interface AgentPolicyRule {
  readonly path: string;
  readonly subject: string;
  readonly ingressDefaultDeny: boolean;
  readonly egressDefaultDeny: boolean;
  readonly traffic: readonly AgentTrafficRule[];
}

export interface AgentTrafficRule {
  readonly path: string;
  readonly direction: string;
  readonly verdict: string;
  readonly anyPeer: boolean;
  readonly peers: readonly { readonly text: string; readonly identities: number }[];
  readonly anyPort: boolean;
  readonly ports: readonly string[];
}

export interface PodName {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
}

/** The other end is a pod or an address; the other one of both is null or "". */
export interface TraceRequest {
  readonly namespace: string;
  readonly name: string;
  readonly direction: TrafficDirection;
  readonly peerPod: PodName | null;
  readonly peerAddress: string;
  readonly protocol: string;
  readonly port: number;
}

export interface AgentTrace {
  readonly node: string;
  readonly cluster: string;
  readonly identity: number;
  readonly labels: readonly string[];
  readonly peerAddress: string;
  readonly peerIdentity: number;
  readonly peerAggregate: number;
  readonly peerLabels: readonly string[];
  readonly defaultDeny: boolean;
  readonly policy: TraceVerdict | null;
  readonly datapath: TraceVerdict | null;
  readonly rules: readonly TracedRule[];
}

export interface TraceVerdict {
  /** `allow`, `deny`, or "" where it is not known. */
  readonly verdict: string;
  readonly why: string;
  readonly rule: RuleName | null;
}

export interface TracedRule {
  readonly rule: RuleName | null;
  readonly verdict: string;
  readonly decides: boolean;
  readonly peer: string;
  readonly port: string;
}

export interface AgentIdentity {
  readonly number: number;
  readonly cluster: string;
  readonly labels: readonly string[];
  readonly addresses: number;
  /** Only of one that was asked for by number. */
  readonly rules: readonly RuleName[];
}

/** What is empty selects all. */
export interface ObserveRequest {
  readonly last: number;
  readonly follow: boolean;
  readonly clusters: readonly string[];
  readonly namespaces: readonly string[];
  readonly pods: readonly string[];
  readonly labels: readonly string[];
  readonly verdicts: readonly string[];
  readonly protocols: readonly string[];
  readonly ports: readonly number[];
}

export interface Observed {
  readonly flow: AgentFlow | null;
  /** Records that were lost since the message before. */
  readonly lost: number;
}

export interface AgentFlow {
  readonly timeMs: number;
  readonly node: string;
  readonly verdict: string;
  readonly reason: string;
  readonly direction: string;
  readonly protocol: string;
  readonly source: FlowEnd | null;
  readonly destination: FlowEnd | null;
  readonly rule: RuleName | null;
  readonly packets: number;
  readonly bytes: number;
  readonly state: string;
  readonly replyPackets: number;
  readonly replyBytes: number;
}

export interface FlowEnd {
  readonly address: string;
  readonly port: number;
  readonly identity: number;
  readonly cluster: string;
  readonly namespace: string;
  readonly pod: string;
  readonly labels: readonly string[];
}

/** Where an answer comes from. */
export interface FromNode {
  readonly node: string;
  readonly cluster: string;
}

/** What the agent answers; `Context` is the call's context at the server, a signal at the client. */
export interface PolicyMethods<Context> {
  listEndpoints(
    request: { readonly namespace: string },
    context: Context,
  ): Promise<FromNode & { readonly endpoints: readonly AgentEndpoint[] }>;
  /** Rejects with `not_found`. */
  getEndpoint(
    request: { readonly namespace: string; readonly name: string },
    context: Context,
  ): Promise<{ readonly endpoint: AgentEndpoint }>;
  listPolicies(
    request: { readonly namespace: string },
    context: Context,
  ): Promise<FromNode & { readonly synced: boolean; readonly policies: readonly AgentPolicy[] }>;
  /** Rejects with `not_found` if the pod is not on this node, or its peer is not known. */
  tracePolicy(request: TraceRequest, context: Context): Promise<AgentTrace>;
  /** `number` 0 and `cluster` "" for all. */
  listIdentities(
    request: { readonly number: number; readonly cluster: string },
    context: Context,
  ): Promise<{ readonly identities: readonly AgentIdentity[] }>;
  /** Ends after the past, or with `follow` when the caller hangs up. */
  observe(request: ObserveRequest, context: Context): AsyncIterable<Observed>;
}
