// How one frontend gets from what the maps hold to what is desired without a moment in which a
// reader finds a dangling reference. Plans rows in phases; writes nothing itself.
//
// A reader goes service → group[0 … count) → slot[0 … count) → backend. Phases, in order; those
// of many frontends are merged phase by phase:
//
//   1 backends put       new ids
//   2 slots put          new slots behind the count; a slot whose backend goes takes over the
//                        last one's, which for a moment stands twice
//   3 groups put         first part (below)
//   4 services put
//   5 groups put         second part
//   6 services put       again, to cut a list that phase 4 made longer
//   7 services delete, groups delete, slots delete, backends delete
//
// Groups are an array sorted by tier. While it changes no cluster of the old and of the new list
// may be missing, or its traffic would be refused:
//
//   same clusters    rows in place                                     phase 3
//   some added       [a c] → [a c c] count 3 → [a b c]                 phases 3, 4, 5 from the end
//   some removed     [a b c] → [a c c] → count 2, then delete [2]      phases 3, 4, 7
//   anything else    [a b] → [a b b a] count 4 → [b a b a] → count 2   phases 3, 4, 5, 6, 7
//
// A slot number keeps its backend as long as both live, so that one backend more or less costs a
// write or two and not the group.
import type { BackendGroup } from "../plan/rank-clusters.ts";
import type { Frontend } from "../plan/plan-service.ts";
import type {
  BackendValue,
  FrontendAddress,
  GroupKey,
  GroupValue,
  ServiceValue,
  SlotKey,
} from "./service-maps.ts";
import {
  addReferences,
  backendKey,
  type FrontendState,
  type GroupState,
  type ServiceState,
} from "./service-state.ts";

export type Rows<K, V> = (readonly [K, V])[];

/** Rows by phase. */
export interface ServiceWrites {
  readonly backendPuts: Rows<number, BackendValue>;
  readonly slotPuts: Rows<SlotKey, number>;
  readonly firstGroupPuts: Rows<GroupKey, GroupValue>;
  readonly firstServicePuts: Rows<FrontendAddress, ServiceValue>;
  readonly lastGroupPuts: Rows<GroupKey, GroupValue>;
  readonly lastServicePuts: Rows<FrontendAddress, ServiceValue>;
  readonly serviceDeletes: FrontendAddress[];
  readonly groupDeletes: GroupKey[];
  readonly slotDeletes: SlotKey[];
  /** Ids that may have lost their last reference; decided when the batch is complete. */
  readonly released: Set<number>;
}

export function emptyWrites(): ServiceWrites {
  return {
    backendPuts: [],
    slotPuts: [],
    firstGroupPuts: [],
    firstServicePuts: [],
    lastGroupPuts: [],
    lastServicePuts: [],
    serviceDeletes: [],
    groupDeletes: [],
    slotDeletes: [],
    released: new Set(),
  };
}

/** Adds what the frontend needs to `writes`, and makes `state` what it will be afterwards. */
export function planFrontendUpdate(
  frontend: Frontend,
  target: { readonly state: ServiceState; readonly writes: ServiceWrites },
): void {
  const { state, writes } = target;
  const current = state.frontends.get(frontend.key);
  const { address, port, protocol } = frontend;
  const serviceId = current?.serviceId ?? state.nextServiceId();
  const old = current?.groups ?? [];
  const next = frontend.groups.map((group) =>
    planSlots(group, { serviceId, protocol, old, state, writes }),
  );
  for (const group of old) {
    if (next.some(({ clusterId }) => clusterId === group.clusterId)) continue;
    dropSlots(group.slots, { from: 0, serviceId, clusterId: group.clusterId, state, writes });
    for (const id of new Set(group.slots)) release(id, { state, writes });
  }
  const after: FrontendState = {
    address: current?.address ?? { address, port, protocol },
    serviceId,
    affinitySeconds: frontend.sessionAffinitySeconds,
    groups: next,
  };
  planGroups(current, after, writes);
  state.groupCount.value += next.length - old.length;
  state.frontends.set(frontend.key, after);
  state.leftovers.services.delete(frontend.key);
}

/** Adds the removal of the frontend to `writes`; of one that is not there, nothing. */
export function planFrontendRemoval(
  key: string,
  target: { readonly state: ServiceState; readonly writes: ServiceWrites },
): void {
  const { state, writes } = target;
  const current = state.frontends.get(key);
  if (current === undefined) return;
  const { serviceId } = current;
  writes.serviceDeletes.push(current.address);
  for (const [index, { clusterId, slots }] of current.groups.entries()) {
    writes.groupDeletes.push({ serviceId, index });
    dropSlots(slots, { from: 0, serviceId, clusterId, state, writes });
    for (const id of new Set(slots)) release(id, { state, writes });
  }
  state.groupCount.value -= current.groups.length;
  state.frontends.delete(key);
}

interface SlotContext {
  readonly serviceId: number;
  readonly protocol: BackendValue["protocol"];
  readonly old: readonly GroupState[];
  readonly state: ServiceState;
  readonly writes: ServiceWrites;
}

function planSlots(group: BackendGroup, context: SlotContext): GroupState {
  const { serviceId, state, writes } = context;
  const { clusterId, tier, weight } = group;
  const before = context.old.find((other) => other.clusterId === clusterId)?.slots ?? [];
  const wanted = new Set(
    group.backends.map(({ address, port }) =>
      acquireId({ clusterId, address, port, protocol: context.protocol }, context),
    ),
  );
  const slots = arrangeSlots(before, wanted);
  for (const [slot, id] of slots.entries()) {
    if (before[slot] !== id) writes.slotPuts.push([{ serviceId, clusterId, slot }, id]);
  }
  dropSlots(before, { from: slots.length, serviceId, clusterId, state, writes });
  state.slotCount.value += Math.max(0, slots.length - before.length);
  const held = new Set(before);
  for (const id of wanted) {
    if (!held.has(id)) addReferences(state.backends, { id, count: 1 });
  }
  for (const id of held) {
    if (!wanted.has(id)) release(id, { state, writes });
  }
  return { clusterId, tier, weight, slots };
}

/** The wanted ids on as few changed slots as possible, without gaps. */
function arrangeSlots(before: readonly number[], wanted: ReadonlySet<number>): number[] {
  const slots: (number | undefined)[] = [];
  const placed = new Set<number>();
  for (const id of before.slice(0, wanted.size)) {
    const stays = wanted.has(id) && !placed.has(id);
    slots.push(stays ? id : undefined);
    if (stays) placed.add(id);
  }
  const waiting = [...wanted].filter((id) => !placed.has(id));
  let nextWaiting = 0;
  const filled = slots.map((id) => id ?? waiting[nextWaiting++]);
  return [...filled, ...waiting.slice(nextWaiting)].filter((id) => id !== undefined);
}

function dropSlots(
  slots: readonly number[],
  place: {
    readonly from: number;
    readonly serviceId: number;
    readonly clusterId: number;
    readonly state: ServiceState;
    readonly writes: ServiceWrites;
  },
): void {
  const { serviceId, clusterId, state, writes } = place;
  for (let slot = place.from; slot < slots.length; slot++) {
    writes.slotDeletes.push({ serviceId, clusterId, slot });
    state.slotCount.value--;
  }
}

function acquireId(value: BackendValue, context: SlotContext): number {
  const { state, writes } = context;
  const key = backendKey(value);
  const known = state.backendIds.get(key);
  if (known !== undefined) return known;
  const id = state.nextBackendId();
  state.backendIds.set(key, id);
  state.backends.set(id, { value, references: 0 });
  writes.backendPuts.push([id, value]);
  return id;
}

function release(
  id: number,
  target: { readonly state: ServiceState; readonly writes: ServiceWrites },
): void {
  if (addReferences(target.state.backends, { id, count: -1 }) <= 0) target.writes.released.add(id);
}

function planGroups(
  before: FrontendState | undefined,
  after: FrontendState,
  writes: ServiceWrites,
): void {
  const old = before?.groups ?? [];
  const { groups, serviceId, address } = after;
  const put = (rows: Rows<GroupKey, GroupValue>, index: number, group: GroupState): void => {
    rows.push([{ serviceId, index }, groupValue(group)]);
  };
  const servicePut = (groupCount: number): readonly [FrontendAddress, ServiceValue] => [
    address,
    { serviceId, groupCount, affinitySeconds: after.affinitySeconds },
  ];
  const changed = (index: number): boolean => !sameGroupRow(old[index], groups[index]);
  const serviceChanged =
    before === undefined ||
    before.affinitySeconds !== after.affinitySeconds ||
    old.length !== groups.length;

  const remove = (from: number, to: number): void => {
    for (let index = from; index < to; index++) writes.groupDeletes.push({ serviceId, index });
  };
  if (isSubsequence(groups, old)) {
    for (const [index, group] of groups.entries()) {
      if (changed(index)) put(writes.firstGroupPuts, index, group);
    }
    if (serviceChanged) writes.firstServicePuts.push(servicePut(groups.length));
    remove(groups.length, old.length);
    return;
  }
  if (isSubsequence(old, groups)) {
    for (const [index, group] of groups.entries()) {
      if (index >= old.length) put(writes.firstGroupPuts, index, group);
    }
    writes.firstServicePuts.push(servicePut(groups.length));
    for (let index = old.length - 1; index >= 0; index--) {
      const group = groups[index];
      if (group !== undefined && changed(index)) put(writes.lastGroupPuts, index, group);
    }
    return;
  }
  for (const [index, group] of groups.entries()) {
    put(writes.firstGroupPuts, old.length + index, group);
  }
  writes.firstServicePuts.push(servicePut(old.length + groups.length));
  for (const [index, group] of groups.entries()) put(writes.lastGroupPuts, index, group);
  writes.lastServicePuts.push(servicePut(groups.length));
  remove(groups.length, old.length + groups.length);
}

function groupValue(group: GroupState): GroupValue {
  const { clusterId, tier, weight, slots } = group;
  return { clusterId, tier, weight, backendCount: slots.length };
}

function sameGroupRow(a: GroupState | undefined, b: GroupState | undefined): boolean {
  return (
    a?.clusterId === b?.clusterId &&
    a?.tier === b?.tier &&
    a?.weight === b?.weight &&
    a?.slots.length === b?.slots.length
  );
}

/** Whether the clusters of `few` stand in `many` in the same order. */
function isSubsequence(few: readonly GroupState[], many: readonly GroupState[]): boolean {
  let found = 0;
  for (const { clusterId } of many) {
    if (few[found]?.clusterId === clusterId) found++;
  }
  return found === few.length;
}
