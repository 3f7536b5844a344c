// Services as the mesh sees them: what a cluster tells its peers (`ClusterService`, the wire's
// words, reference §1.3) and what only its own agents need (`LocalService`).
import type { ClusterId } from "./cluster.ts";

export type Protocol = "TCP" | "UDP" | "SCTP";

export interface L4Address {
  readonly protocol: Protocol;
  /** 1 … 65535, host order. */
  readonly port: number;
}

/** Port name ("" for an unnamed one) → protocol and number. */
export type NamedPorts = ReadonlyMap<string, L4Address>;

/** Canonical address text → its named ports. */
export type AddressPorts = ReadonlyMap<string, NamedPorts>;

/** A service as exported by its cluster; frontends are ClusterIPs, backends are ready endpoints. */
export interface ClusterService {
  readonly cluster: string;
  readonly clusterId: ClusterId;
  readonly namespace: string;
  readonly name: string;
  readonly frontends: AddressPorts;
  readonly backends: AddressPorts;
  /**
   * Endpoints that are going away and still serve, of ports that have no ready one (KEP-1669). They
   * are used only while no cluster has a ready one. Left out when there are none.
   */
  readonly leaving?: AddressPorts;
  readonly labels: ReadonlyMap<string, string>;
  readonly selector: ReadonlyMap<string, string>;
  /** The service also wants the backends of other clusters (the `global` annotation). */
  readonly includeExternal: boolean;
  /** The service offers its backends to other clusters. */
  readonly shared: boolean;
}

export type ServiceAffinity = "none" | "local" | "remote";

/** How a cluster's own agents balance one of its services; from annotations and the Service spec. */
export interface ServiceSettings {
  readonly global: boolean;
  readonly shared: boolean;
  readonly affinity: ServiceAffinity;
  /** `sessionAffinity: ClientIP`; 0 means none. Kubernetes allows 1 … 86400 seconds. */
  readonly sessionAffinitySeconds: number;
  /** `tombolo.io/failover-order`: tiers of cluster names; empty means no order. */
  readonly failoverOrder: readonly (readonly string[])[];
  /** `tombolo.io/weights`: cluster name → weight within its tier; empty means by backend count. */
  readonly weights: ReadonlyMap<string, number>;
  /** `tombolo.io/min-healthy`: how many ready backends make a cluster able to serve. */
  readonly minHealthy: MinHealthy | undefined;
}

export type MinHealthy =
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "percent"; readonly percent: number };

/** A service of the agent's own cluster, global or not. */
export interface LocalService {
  readonly service: ClusterService;
  readonly settings: ServiceSettings;
}

/** What an unannotated Service gets. */
export const DEFAULT_SERVICE_SETTINGS: ServiceSettings = {
  global: false,
  shared: true,
  affinity: "none",
  sessionAffinitySeconds: 0,
  failoverOrder: [],
  weights: new Map(),
  minHealthy: undefined,
};

/** The name by which services of all clusters are matched. */
export function serviceKey(service: { readonly namespace: string; readonly name: string }): string {
  return `${service.namespace}/${service.name}`;
}
