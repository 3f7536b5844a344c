// The four service maps as the agent uses them: plain values in, batches, no layout. The real
// ones are wrapped in map-adapters.ts; tests use memory.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { TransportProtocol } from "../plan/plan-service.ts";

export interface ServiceValue {
  readonly serviceId: number;
  readonly groupCount: number;
  readonly affinitySeconds: number;
}

export interface GroupKey {
  readonly serviceId: number;
  readonly index: number;
}

export interface GroupValue {
  readonly clusterId: ClusterId;
  readonly tier: number;
  readonly weight: number;
  readonly backendCount: number;
}

export interface SlotKey {
  readonly serviceId: number;
  readonly clusterId: ClusterId;
  readonly slot: number;
}

export interface BackendValue {
  readonly clusterId: ClusterId;
  /** Canonical address text. */
  readonly address: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
}

export interface FrontendAddress {
  readonly address: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
}

/** A map with ordered batches: rows are written in the order given. */
export interface TargetMap<K, V> {
  readonly name: string;
  readonly maxEntries: number;
  putAll(rows: readonly (readonly [K, V])[]): void;
  /** A key that is not there is no error. */
  deleteAll(keys: readonly K[]): void;
  entries(): Iterable<readonly [K, V]>;
}

export interface ServiceMaps {
  readonly services: TargetMap<FrontendAddress, ServiceValue>;
  readonly groups: TargetMap<GroupKey, GroupValue>;
  readonly slots: TargetMap<SlotKey, number>;
  readonly backends: TargetMap<number, BackendValue>;
  /** Ids that something in the kernel may still refer to although the maps above do not. */
  remembered(): Iterable<{ readonly serviceId: number; readonly backendId: number }>;
}
