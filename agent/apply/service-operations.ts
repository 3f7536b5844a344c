// Makes the service maps hold the desired frontends, in batches and in an order that keeps every
// reader right (service-writes.ts). Adopts what the pinned maps hold: what is right already is
// not written again.
import { MeshError } from "../../mesh/core/errors.ts";
import type { Operations } from "../../mesh/core/reconciler.ts";
import type { Frontend } from "../plan/plan-service.ts";
import type { HeldGroup } from "../desired/services.ts";
import type { ServiceMaps, TargetMap } from "./service-maps.ts";
import {
  backendKey,
  heldGroups,
  ownedRows,
  readServiceState,
  type ServiceState,
} from "./service-state.ts";
import {
  emptyWrites,
  planFrontendRemoval,
  planFrontendUpdate,
  type ServiceWrites,
} from "./service-writes.ts";

export interface ServiceTarget {
  readonly operations: Operations<Frontend>;
  /** What the maps held of every cluster when they were adopted. */
  readonly held: ReadonlyMap<string, readonly HeldGroup[]>;
  /** What the maps hold now. */
  readonly state: () => ServiceState;
}

export function createServiceTarget(maps: ServiceMaps): ServiceTarget {
  let state = readServiceState(maps);

  function commit(writes: ServiceWrites): void {
    try {
      writePhases(maps, { writes, state });
    } catch (error) {
      // Nobody knows which rows were written: look.
      state = readServiceState(maps);
      throw error;
    }
  }

  return {
    held: heldGroups(state),
    state: () => state,
    operations: {
      async update(rows) {
        const failures = new Map<string, Error>();
        const writes = emptyWrites();
        for (const { key, row } of rows) {
          const full = fullMap(row, { maps, state });
          if (full === undefined) planFrontendUpdate(row, { state, writes });
          else failures.set(key, tooMany(row, full));
        }
        commit(writes);
        return failures;
      },
      async delete(rows) {
        const writes = emptyWrites();
        for (const { key } of rows) planFrontendRemoval(key, { state, writes });
        commit(writes);
        return new Map();
      },
      async prune(desired) {
        const writes = emptyWrites();
        for (const key of state.frontends.keys()) {
          if (desired.get(key) === undefined) planFrontendRemoval(key, { state, writes });
        }
        pruneLeftovers(state, writes);
        commit(writes);
      },
    },
  };
}

function writePhases(
  maps: ServiceMaps,
  work: { readonly writes: ServiceWrites; readonly state: ServiceState },
): void {
  const { writes, state } = work;
  maps.backends.putAll(writes.backendPuts);
  maps.slots.putAll(writes.slotPuts);
  maps.groups.putAll(writes.firstGroupPuts);
  maps.services.putAll(writes.firstServicePuts);
  maps.groups.putAll(writes.lastGroupPuts);
  maps.services.putAll(writes.lastServicePuts);
  maps.services.deleteAll(writes.serviceDeletes);
  maps.groups.deleteAll(writes.groupDeletes);
  maps.slots.deleteAll(writes.slotDeletes);
  const unused: number[] = [];
  for (const id of writes.released) {
    const backend = state.backends.get(id);
    if (backend === undefined || backend.references > 0) continue;
    state.backends.delete(id);
    state.backendIds.delete(backendKey(backend.value));
    unused.push(id);
  }
  maps.backends.deleteAll(unused);
}

type FullMap = Pick<TargetMap<never, never>, "name" | "maxEntries">;

/** The map that could not take the frontend, judged by its worst moment. */
function fullMap(
  frontend: Frontend,
  target: { readonly maps: ServiceMaps; readonly state: ServiceState },
): FullMap | undefined {
  const { maps, state } = target;
  const known = state.frontends.get(frontend.key);
  const backends = frontend.groups.reduce((sum, group) => sum + group.backends.length, 0);
  const held = known?.groups.reduce((sum, { slots }) => sum + slots.length, 0) ?? 0;
  const lacks = (map: { maxEntries: number }, used: number, more: number): boolean =>
    more > 0 && used + more > map.maxEntries;
  if (lacks(maps.services, state.frontends.size, known === undefined ? 1 : 0)) return maps.services;
  if (lacks(maps.groups, state.groupCount.value, frontend.groups.length)) return maps.groups;
  // Growth is what counts; a service that shrinks always fits.
  if (lacks(maps.slots, state.slotCount.value, backends - held)) return maps.slots;
  if (lacks(maps.backends, state.backends.size, backends - held)) return maps.backends;
  return undefined;
}

function tooMany(frontend: Frontend, map: FullMap): MeshError {
  return new MeshError(
    "resource_exhausted",
    `Cannot add frontend ${frontend.key} of service "${frontend.service}": map "${map.name}" holds at most ${map.maxEntries} entries`,
  );
}

/** Rows that a dying agent left behind, unless they have found a use since. */
function pruneLeftovers(state: ServiceState, writes: ServiceWrites): void {
  const { leftovers } = state;
  const owned = ownedRows(state.frontends.values());
  for (const [key, address] of leftovers.services) {
    writes.serviceDeletes.push(address);
    leftovers.services.delete(key);
  }
  for (const key of leftovers.groups.splice(0)) {
    if (owned.hasGroup(key.serviceId, key.index)) continue;
    writes.groupDeletes.push(key);
    state.groupCount.value--;
  }
  for (const key of leftovers.slots.splice(0)) {
    if (owned.hasSlot(key)) continue;
    writes.slotDeletes.push(key);
    state.slotCount.value--;
  }
  for (const [id, { references }] of state.backends) {
    if (references <= 0) writes.released.add(id);
  }
}
