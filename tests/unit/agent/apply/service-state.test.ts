import { describe, expect, test } from "@jest/globals";
import {
  addReferences,
  backendKey,
  heldGroups,
  ownedRows,
  readServiceState,
} from "../../../../agent/apply/service-state.ts";
import { createWatchedServiceMaps, type WatchedServiceMaps } from "../../../fakes/service-maps.ts";

const ADDRESS = { address: "10.96.0.1", port: 80, protocol: "TCP" } as const;
const KEY = "10.96.0.1:80/TCP";
const BACKEND = { clusterId: 2, address: "10.2.0.1", port: 80, protocol: "TCP" } as const;

/** One frontend of one cluster with one backend: service 7, backend 9. */
function whole(): WatchedServiceMaps {
  const maps = createWatchedServiceMaps(() => {});
  maps.backends.putAll([[9, BACKEND]]);
  maps.slots.putAll([[{ serviceId: 7, clusterId: 2, slot: 0 }, 9]]);
  maps.groups.putAll([
    [
      { serviceId: 7, index: 0 },
      { clusterId: 2, tier: 1, weight: 3, backendCount: 1 },
    ],
  ]);
  maps.services.putAll([[ADDRESS, { serviceId: 7, groupCount: 1, affinitySeconds: 5 }]]);
  return maps;
}

describe("readServiceState()", () => {
  test("reads what hangs together", () => {
    const state = readServiceState(whole());
    expect(state.frontends.get(KEY)).toEqual({
      address: ADDRESS,
      serviceId: 7,
      affinitySeconds: 5,
      groups: [{ clusterId: 2, tier: 1, weight: 3, slots: [9] }],
    });
    expect(state.backends.get(9)?.references).toBe(1);
    expect(state.backendIds.get(backendKey(BACKEND))).toBe(9);
    expect([state.nextServiceId(), state.nextBackendId()]).toEqual([8, 10]);
    expect([state.groupCount.value, state.slotCount.value]).toEqual([1, 1]);
    expect(state.leftovers.services.size).toBe(0);
  });

  const damages: readonly [string, (maps: WatchedServiceMaps) => void][] = [
    ["a backend", (maps) => maps.backends.deleteAll([9])],
    ["a slot", (maps) => maps.slots.deleteAll([{ serviceId: 7, clusterId: 2, slot: 0 }])],
    ["a group", (maps) => maps.groups.deleteAll([{ serviceId: 7, index: 0 }])],
  ];
  for (const [what, damage] of damages) {
    test(`takes a frontend that misses ${what} for a leftover`, () => {
      const maps = whole();
      damage(maps);
      const state = readServiceState(maps);
      expect(state.frontends.size).toBe(0);
      expect([...state.leftovers.services.keys()]).toEqual([KEY]);
    });
  }

  test("takes a list with one cluster twice for a leftover: its writer died", () => {
    const maps = whole();
    const group = { clusterId: 2, tier: 1, weight: 3, backendCount: 1 };
    maps.groups.putAll([[{ serviceId: 7, index: 1 }, group]]);
    maps.services.putAll([[ADDRESS, { serviceId: 7, groupCount: 2, affinitySeconds: 5 }]]);
    expect(readServiceState(maps).frontends.size).toBe(0);
  });

  test("names the rows behind the counts", () => {
    const maps = whole();
    maps.slots.putAll([[{ serviceId: 7, clusterId: 2, slot: 1 }, 9]]);
    maps.groups.putAll([
      [
        { serviceId: 8, index: 0 },
        { clusterId: 2, tier: 0, weight: 1, backendCount: 0 },
      ],
    ]);
    const { leftovers, frontends } = readServiceState(maps);
    expect(frontends.size).toBe(1);
    expect(leftovers.slots).toEqual([{ serviceId: 7, clusterId: 2, slot: 1 }]);
    expect(leftovers.groups).toEqual([{ serviceId: 8, index: 0 }]);
  });
});

describe("ownedRows()", () => {
  test("knows the rows that frontends use", () => {
    const owned = ownedRows(readServiceState(whole()).frontends.values());
    expect([owned.hasGroup(7, 0), owned.hasGroup(7, 1), owned.hasGroup(8, 0)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(owned.hasSlot({ serviceId: 7, clusterId: 2, slot: 0 })).toBe(true);
    expect(owned.hasSlot({ serviceId: 7, clusterId: 3, slot: 0 })).toBe(false);
  });
});

describe("heldGroups()", () => {
  test("tells a group of leaving endpoints by its tier", () => {
    const maps = whole();
    const group = { clusterId: 2, tier: 255, weight: 3, backendCount: 1 };
    maps.groups.putAll([[{ serviceId: 7, index: 0 }, group]]);
    expect([...heldGroups(readServiceState(maps))]).toMatchObject([[KEY, [{ leaving: true }]]]);
  });

  test("tells the backends of each cluster", () => {
    expect([...heldGroups(readServiceState(whole()))]).toEqual([
      [KEY, [{ clusterId: 2, backends: [{ address: "10.2.0.1", port: 80 }] }]],
    ]);
  });
});

describe("addReferences()", () => {
  test("counts, and takes an unknown backend for unused", () => {
    const { backends } = readServiceState(whole());
    expect(addReferences(backends, { id: 9, count: 2 })).toBe(3);
    expect(addReferences(backends, { id: 1, count: 2 })).toBe(0);
  });
});
