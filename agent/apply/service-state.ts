// What the service maps hold, in memory: read once from the pinned maps when the agent starts,
// then kept in step with every write. Ids are given out here. It decides nothing.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { frontendKey } from "../plan/plan-service.ts";
import { LEAVING_TIER } from "../plan/rank-clusters.ts";
import type { HeldGroup } from "../desired/services.ts";
import type {
  BackendValue,
  FrontendAddress,
  GroupKey,
  GroupValue,
  ServiceMaps,
  SlotKey,
} from "./service-maps.ts";

export interface GroupState {
  readonly clusterId: ClusterId;
  readonly tier: number;
  readonly weight: number;
  /** Backend id by slot. */
  readonly slots: readonly number[];
}

export interface FrontendState {
  readonly address: FrontendAddress;
  readonly serviceId: number;
  readonly affinitySeconds: number;
  readonly groups: readonly GroupState[];
}

export interface BackendState {
  readonly value: BackendValue;
  /** Groups that use it. */
  references: number;
}

export interface ServiceState {
  /** By frontend key. */
  readonly frontends: Map<string, FrontendState>;
  readonly backends: Map<number, BackendState>;
  /** By `backendKey`. */
  readonly backendIds: Map<string, number>;
  readonly groupCount: { value: number };
  readonly slotCount: { value: number };
  /** Rows that nothing reaches: left by an agent that died between two writes. */
  readonly leftovers: Leftovers;
  nextServiceId(): number;
  nextBackendId(): number;
}

export interface Leftovers {
  /** Frontends whose rows do not hang together; the key's row is still in the map. */
  readonly services: Map<string, FrontendAddress>;
  readonly groups: GroupKey[];
  readonly slots: SlotKey[];
}

/** Which backend an id stands for: the same address in two clusters is two backends. */
export function backendKey(backend: BackendValue): string {
  const { clusterId, address, port, protocol } = backend;
  return `${clusterId} ${address} ${port} ${protocol}`;
}

/** Reads all four maps. */
export function readServiceState(maps: ServiceMaps): ServiceState {
  const rows = readRows(maps);
  const backends = new Map<number, BackendState>();
  const backendIds = new Map<string, number>();
  for (const [id, value] of maps.backends.entries()) {
    backends.set(id, { value, references: 0 });
    backendIds.set(backendKey(value), id);
  }
  const frontends = new Map<string, FrontendState>();
  const broken = new Map<string, FrontendAddress>();
  const seenServiceIds = new Set<number>();
  let lastServiceId = 0;
  let lastBackendId = 0;
  for (const [address, service] of maps.services.entries()) {
    lastServiceId = Math.max(lastServiceId, service.serviceId);
    const groups = readGroups(service, { rows, backends });
    const key = frontendKey(address);
    if (groups === undefined || seenServiceIds.has(service.serviceId)) broken.set(key, address);
    else {
      const { serviceId, affinitySeconds } = service;
      frontends.set(key, { address, serviceId, affinitySeconds, groups });
      seenServiceIds.add(serviceId);
      for (const { slots } of groups) {
        for (const id of new Set(slots)) addReferences(backends, { id, count: 1 });
      }
    }
  }
  for (const { serviceId } of rows.groupKeys) lastServiceId = Math.max(lastServiceId, serviceId);
  for (const { serviceId } of rows.slotKeys) lastServiceId = Math.max(lastServiceId, serviceId);
  for (const id of backends.keys()) lastBackendId = Math.max(lastBackendId, id);
  for (const { serviceId, backendId } of maps.remembered()) {
    lastServiceId = Math.max(lastServiceId, serviceId);
    lastBackendId = Math.max(lastBackendId, backendId);
  }
  const owned = ownedRows(frontends.values());
  return {
    frontends,
    backends,
    backendIds,
    groupCount: { value: rows.groups.size },
    slotCount: { value: rows.slots.size },
    leftovers: {
      services: broken,
      groups: rows.groupKeys.filter(({ serviceId, index }) => !owned.hasGroup(serviceId, index)),
      slots: rows.slotKeys.filter((key) => !owned.hasSlot(key)),
    },
    nextServiceId: () => ++lastServiceId,
    nextBackendId: () => ++lastBackendId,
  };
}

/** Which group and slot rows the given frontends use. */
export function ownedRows(frontends: Iterable<FrontendState>): {
  hasGroup(serviceId: number, index: number): boolean;
  hasSlot(key: SlotKey): boolean;
} {
  const byServiceId = new Map<number, FrontendState>();
  for (const frontend of frontends) byServiceId.set(frontend.serviceId, frontend);
  return {
    hasGroup: (serviceId, index) => index < (byServiceId.get(serviceId)?.groups.length ?? 0),
    hasSlot: ({ serviceId, clusterId, slot }) => {
      const groups = byServiceId.get(serviceId)?.groups ?? [];
      return groups.some((group) => group.clusterId === clusterId && slot < group.slots.length);
    },
  };
}

/** What each cluster offers by what the maps hold; input of the planner until the cluster speaks. */
export function heldGroups(state: ServiceState): ReadonlyMap<string, readonly HeldGroup[]> {
  const held = new Map<string, readonly HeldGroup[]>();
  for (const [key, frontend] of state.frontends) {
    const groups = frontend.groups.map(({ clusterId, slots, tier }) => ({
      clusterId,
      ...(tier === LEAVING_TIER ? { leaving: true } : {}),
      backends: [...new Set(slots)]
        .flatMap((id) => state.backends.get(id)?.value ?? [])
        .map(({ address, port }) => ({ address, port }))
        .sort((a, b) => (a.address < b.address ? -1 : 1)),
    }));
    if (groups.length > 0) held.set(key, groups);
  }
  return held;
}

export function addReferences(
  backends: ReadonlyMap<number, BackendState>,
  change: { readonly id: number; readonly count: number },
): number {
  const backend = backends.get(change.id);
  if (backend === undefined) return 0;
  backend.references += change.count;
  return backend.references;
}

interface Rows {
  readonly groups: ReadonlyMap<string, GroupValue>;
  readonly groupKeys: readonly GroupKey[];
  readonly slots: ReadonlyMap<string, number>;
  readonly slotKeys: readonly SlotKey[];
}

function readRows(maps: ServiceMaps): Rows {
  const groups = new Map<string, GroupValue>();
  const groupKeys: GroupKey[] = [];
  for (const [key, value] of maps.groups.entries()) {
    groups.set(`${key.serviceId} ${key.index}`, value);
    groupKeys.push(key);
  }
  const slots = new Map<string, number>();
  const slotKeys: SlotKey[] = [];
  for (const [key, backendId] of maps.slots.entries()) {
    slots.set(`${key.serviceId} ${key.clusterId} ${key.slot}`, backendId);
    slotKeys.push(key);
  }
  return { groups, groupKeys, slots, slotKeys };
}

/** Undefined if a row is missing, or two groups are of one cluster: a write was cut off there. */
function readGroups(
  service: { readonly serviceId: number; readonly groupCount: number },
  known: { readonly rows: Rows; readonly backends: ReadonlyMap<number, BackendState> },
): GroupState[] | undefined {
  const { rows, backends } = known;
  const groups: GroupState[] = [];
  for (let index = 0; index < service.groupCount; index++) {
    const group = rows.groups.get(`${service.serviceId} ${index}`);
    if (group === undefined) return undefined;
    const { clusterId, tier, weight, backendCount } = group;
    if (groups.some((other) => other.clusterId === clusterId)) return undefined;
    const slots: number[] = [];
    for (let slot = 0; slot < backendCount; slot++) {
      const id = rows.slots.get(`${service.serviceId} ${clusterId} ${slot}`);
      if (id === undefined || backends.get(id)?.value.clusterId !== clusterId) return undefined;
      slots.push(id);
    }
    groups.push({ clusterId, tier, weight, slots });
  }
  return groups;
}
