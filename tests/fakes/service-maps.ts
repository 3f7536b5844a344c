// The service maps in memory with a look after every single row that is written, and the reader of
// the datapath that does the looking: whatever it selects at any moment must be there.
import type {
  BackendValue,
  FrontendAddress,
  GroupKey,
  GroupValue,
  ServiceMaps,
  ServiceValue,
  SlotKey,
  TargetMap,
} from "../../agent/apply/service-maps.ts";
import { frontendKey } from "../../agent/plan/plan-service.ts";

export interface WatchedServiceMaps extends ServiceMaps {
  /** Rows written and deleted so far, e.g. "put groups 1 0". */
  readonly log: string[];
  /** The next write after this many fails, and all until it is set again. */
  failAfter: number;
}

/** `onRow` is called after every row. */
export function createWatchedServiceMaps(
  onRow: (maps: ServiceMaps) => void,
  capacity: { readonly backends?: number; readonly services?: number } = {},
): WatchedServiceMaps {
  const log: string[] = [];
  const state = { failAfter: Infinity };
  const create = <K, V>(
    name: string,
    keyOf: (key: K) => string,
    maxEntries = 1_000_000,
  ): TargetMap<K, V> => {
    const rows = new Map<string, readonly [K, V]>();
    const wrote = (what: string): void => {
      log.push(what);
      onRow(maps);
    };
    const check = (): void => {
      if (state.failAfter-- <= 0) throw new Error("the kernel refuses");
    };
    return {
      name,
      maxEntries,
      putAll(all) {
        for (const [key, value] of all) {
          check();
          rows.set(keyOf(key), [key, value]);
          if (rows.size > maxEntries) throw new Error(`${name} is full`);
          wrote(`put ${name} ${keyOf(key)}`);
        }
      },
      deleteAll(keys) {
        for (const key of keys) {
          check();
          rows.delete(keyOf(key));
          wrote(`delete ${name} ${keyOf(key)}`);
        }
      },
      entries: () => rows.values(),
    };
  };
  const maps: WatchedServiceMaps = {
    services: create<FrontendAddress, ServiceValue>("services", frontendKey, capacity.services),
    groups: create<GroupKey, GroupValue>("groups", (key) => `${key.serviceId} ${key.index}`),
    slots: create<SlotKey, number>(
      "slots",
      (key) => `${key.serviceId} ${key.clusterId} ${key.slot}`,
    ),
    backends: create<number, BackendValue>("backends", String, capacity.backends),
    remembered: () => [],
    log,
    get failAfter() {
      return state.failAfter;
    },
    set failAfter(count) {
      state.failAfter = count;
    },
  };
  return maps;
}

/** Everything a reader can select now, frontend by frontend: `cluster tier weight address:port`. */
export function readAll(maps: ServiceMaps): ReadonlyMap<string, readonly string[]> {
  const groups = new Map([...maps.groups.entries()].map(([key, value]) => [groupId(key), value]));
  const slots = new Map([...maps.slots.entries()].map(([key, value]) => [slotId(key), value]));
  const backends = new Map(maps.backends.entries());
  const found = new Map<string, string[]>();
  for (const [address, { serviceId, groupCount }] of maps.services.entries()) {
    const key = frontendKey(address);
    const selected: string[] = [];
    for (let index = 0; index < groupCount; index++) {
      const group = groups.get(groupId({ serviceId, index }));
      if (group === undefined) throw new Error(`${key}: group ${index} is dangling`);
      const { clusterId, tier, weight, backendCount } = group;
      for (let slot = 0; slot < backendCount; slot++) {
        const id = slots.get(slotId({ serviceId, clusterId, slot }));
        if (id === undefined) throw new Error(`${key}: slot ${clusterId}/${slot} is dangling`);
        const backend = backends.get(id);
        if (backend === undefined) throw new Error(`${key}: backend ${id} is dangling`);
        if (backend.clusterId !== clusterId) throw new Error(`${key}: backend of another cluster`);
        selected.push(`${clusterId} ${tier} ${weight} ${backend.address}:${backend.port}`);
      }
    }
    found.set(key, selected);
  }
  return found;
}

function groupId(key: GroupKey): string {
  return `${key.serviceId} ${key.index}`;
}

function slotId(key: SlotKey): string {
  return `${key.serviceId} ${key.clusterId} ${key.slot}`;
}
