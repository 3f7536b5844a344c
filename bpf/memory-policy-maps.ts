// PolicyMaps without a kernel, for tests of what writes policies.
import { endpointPolicyMap } from "./gen/maps.ts";
import { createMemoryMap } from "./memory-map.ts";
import type { EndpointPolicyMap, PolicyMaps } from "./policy-maps.ts";

export function createMemoryPolicyMaps(): PolicyMaps {
  const maps = new Map<number, EndpointPolicyMap>();
  return {
    endpoints: () => [...maps.keys()],
    open(ifindex) {
      const map = maps.get(ifindex);
      // Closing what was opened gives a file descriptor back, and leaves the rows.
      return map === undefined ? undefined : withoutClosing(map);
    },
    replace(ifindex, rows, maxEntries = endpointPolicyMap.maxEntries) {
      const map = createMemoryMap(endpointPolicyMap, { maxEntries });
      map.putBatch(rows);
      maps.set(ifindex, map);
    },
    delete: (ifindex) => maps.delete(ifindex),
    close: () => maps.clear(),
    [Symbol.dispose]: () => maps.clear(),
  };
}

function withoutClosing(map: EndpointPolicyMap): EndpointPolicyMap {
  return {
    name: map.name,
    maxEntries: map.maxEntries,
    get writes() {
      return map.writes;
    },
    get: (key) => map.get(key),
    put: (key, value) => map.put(key, value),
    delete: (key) => map.delete(key),
    entries: (batchRows) => map.entries(batchRows),
    putBatch: (rows) => map.putBatch(rows),
    putRows: (rows, conversion) => map.putRows(rows, conversion),
    deleteBatch: (keys) => map.deleteBatch(keys),
    close: () => {},
    [Symbol.dispose]: () => {},
  };
}
