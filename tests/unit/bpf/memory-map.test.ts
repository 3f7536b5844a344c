// What the contract suite (tests/contract/bpf-map.ts) cannot ask of both implementations.
import { describe, expect, test } from "@jest/globals";
import { affinityMap, backendsMap } from "../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../bpf/memory-map.ts";

describe("createMemoryMap()", () => {
  test("has the size of the spec, or a given one", () => {
    expect(createMemoryMap(backendsMap).maxEntries).toBe(backendsMap.maxEntries);
    expect(createMemoryMap(backendsMap, { maxEntries: 3 }).maxEntries).toBe(3);
  });

  test("forgets the oldest row of a full LRU map", () => {
    const map = createMemoryMap(affinityMap, { maxEntries: 2 });
    const session = { lastUsedNs: 0n, backendId: 1, clusterId: 1, slot: 0 };
    for (const serviceId of [1, 2, 3]) map.put({ client: 1n, serviceId }, session);
    expect([...map.entries()].map(([{ serviceId }]) => serviceId)).toEqual([2, 3]);
  });

  test("counts a batch as one write, as the kernel's does", () => {
    const map = createMemoryMap(backendsMap);
    const backend = {
      address: new Uint8Array(16),
      port: 1,
      protocol: 6,
      state: 0,
      clusterId: 1,
    } as const;
    map.putBatch([1, 2, 3].map((backendId) => [{ backendId }, backend] as const));
    map.deleteBatch([{ backendId: 1 }]);
    expect(map.writes).toBe(2);
  });
});
