// The messages of agent.proto as TypeScript sees them: every field set, nothing 64 bits wide.

export interface AgentStatus {
  readonly version: string;
  readonly node: string;
  readonly cluster: string;
  readonly clusterId: number;
  readonly uptimeSeconds: number;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly clusters: readonly AgentCluster[];
  readonly reconcilers: readonly AgentReconciler[];
  readonly podPrefixes: readonly string[];
  readonly mtu: number;
  /** Null from an older agent. */
  readonly flows: AgentFlowResets | null;
}

/** Totals since the agent started. */
export interface AgentFlowResets {
  readonly ended: readonly { readonly reason: string; readonly flows: number }[];
  readonly failures: number;
  readonly lastProblem: string;
  readonly namespaces: number;
  readonly namespacesFailed: number;
}

export interface AgentCluster {
  readonly name: string;
  readonly id: number;
  readonly own: boolean;
  readonly session: string;
  readonly reason: string;
  readonly listed: boolean;
  readonly nodes: number;
  readonly endpoints: number;
  readonly services: number;
  readonly rejected: number;
  readonly rejectedLatest: readonly string[];
  readonly heartbeatAgeSeconds: number;
  readonly reconnections: number;
  readonly usable: boolean;
  readonly health: string;
  readonly drainedPercent: number;
  readonly drillSeconds: number;
}

export interface AgentReconciler {
  readonly name: string;
  readonly desired: number;
  readonly applied: number;
  readonly failed: number;
  readonly failedLatest: readonly { readonly key: string; readonly reason: string }[];
  readonly synced: boolean;
  readonly pruned: boolean;
  readonly contested: number;
}

export interface AgentService {
  readonly namespace: string;
  readonly name: string;
  readonly global: boolean;
  readonly shared: boolean;
  readonly affinity: string;
  readonly frontends: readonly AgentFrontend[];
  readonly notes: readonly string[];
}

export interface AgentFrontend {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly portName: string;
  readonly sessionAffinitySeconds: number;
  readonly groups: readonly AgentGroup[];
  readonly failure: string;
  readonly failovers: readonly AgentFailover[];
}

/** Where new connections would go if one cluster failed; no shares: nowhere. */
export interface AgentFailover {
  readonly cluster: string;
  readonly shares: readonly { readonly cluster: string; readonly percent: number }[];
}

export interface AgentGroup {
  readonly cluster: string;
  readonly clusterId: number;
  readonly tier: number;
  readonly weight: number;
  readonly backendCount: number;
  readonly usable: boolean;
  readonly inUse: boolean;
  readonly backends: readonly { readonly address: string; readonly port: number }[];
  readonly sharePercent: number;
  readonly healthyBackends: number;
  readonly health: string;
  readonly drainedPercent: number;
  readonly drillSeconds: number;
}

/** What a node has found out about the health of others. */
export interface AgentHealth {
  readonly node: string;
  readonly cluster: string;
  readonly enabled: boolean;
  readonly intervalMs: number;
  readonly isolated: boolean;
  readonly problem: string;
  readonly rounds: number;
  readonly blindRounds: number;
  readonly clusters: readonly AgentClusterHealth[];
  readonly nodes: readonly AgentProbedNode[];
  readonly backendsDown: number;
}

export interface AgentClusterHealth {
  readonly name: string;
  readonly id: number;
  readonly family: number;
  readonly state: string;
  readonly reason: string;
  readonly sinceSeconds: number;
  readonly heldBackPercent: number;
  readonly lossPercent: number;
  readonly roundTripMs: number;
  readonly usualRoundTripMs: number;
  readonly evidence: readonly string[];
}

export interface AgentProbedNode {
  readonly cluster: string;
  readonly node: string;
  readonly family: number;
  readonly down: boolean;
  readonly sent: number;
  readonly answered: number;
  readonly lastAnswerMsAgo: number;
  readonly roundTripMs: number;
}

/** What the agent answers; `Context` is the call's context at the server, a signal at the client. */
export interface AgentMethods<Context> {
  getStatus(request: object, context: Context): Promise<AgentStatus>;
  listServices(
    request: { readonly namespace: string },
    context: Context,
  ): Promise<{ readonly services: readonly AgentService[] }>;
  /** Rejects with `not_found`. */
  getService(
    request: { readonly namespace: string; readonly name: string },
    context: Context,
  ): Promise<{ readonly service: AgentService }>;
  getHealth(request: object, context: Context): Promise<AgentHealth>;
}
