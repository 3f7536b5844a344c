import { describe, expect, test } from "@jest/globals";
import { BackendState } from "../../../../bpf/gen/layout.ts";
import { affinityMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import {
  ipcacheMapFromDatapath,
  serviceMapsFromDatapath,
} from "../../../../agent/apply/map-adapters.ts";
import { countWrites, createMemoryMaps } from "../../../fakes/agent-node.ts";

describe("serviceMapsFromDatapath()", () => {
  test("gives back what was written", () => {
    const maps = serviceMapsFromDatapath(createMemoryMaps());
    const frontends = [
      { address: "10.96.0.1", port: 53, protocol: "UDP" as const },
      { address: "fd00::1", port: 80, protocol: "TCP" as const },
    ];
    const service = { serviceId: 7, groupCount: 2, affinitySeconds: 60 };
    maps.services.putAll(frontends.map((frontend) => [frontend, service]));
    expect([...maps.services.entries()]).toEqual(frontends.map((frontend) => [frontend, service]));

    const group = { clusterId: 2, tier: 1, weight: 90, backendCount: 3 };
    maps.groups.putAll([[{ serviceId: 7, index: 1 }, group]]);
    expect([...maps.groups.entries()]).toEqual([[{ serviceId: 7, index: 1 }, group]]);

    maps.slots.putAll([[{ serviceId: 7, clusterId: 2, slot: 5 }, 9]]);
    expect([...maps.slots.entries()]).toEqual([[{ serviceId: 7, clusterId: 2, slot: 5 }, 9]]);

    const backend = { clusterId: 2, address: "fd00::9", port: 8080, protocol: "TCP" as const };
    maps.backends.putAll([[9, backend]]);
    expect([...maps.backends.entries()]).toEqual([[9, backend]]);
  });

  test("tells which ids clients' sessions remember", () => {
    const affinity = createMemoryMap(affinityMap);
    affinity.put(
      { client: 1n, serviceId: 3 },
      { lastUsedNs: 0n, backendId: 5, clusterId: 1, slot: 0 },
    );
    const maps = serviceMapsFromDatapath({ ...createMemoryMaps(), affinity });
    expect([...maps.remembered()]).toEqual([{ serviceId: 3, backendId: 5 }]);
  });

  test("marks a backend whose node is known to be down when its row is written", () => {
    const kernel = createMemoryMaps();
    const { backends } = serviceMapsFromDatapath(kernel, ({ port }) => port === 81);
    const backend = { clusterId: 2, address: "10.2.0.1", port: 80, protocol: "TCP" as const };
    backends.putAll([
      [1, backend],
      [2, { ...backend, port: 81 }],
    ]);
    expect(kernel.backends.get({ backendId: 1 })?.state).toBe(BackendState.active);
    expect(kernel.backends.get({ backendId: 2 })?.state).toBe(BackendState.down);
  });

  test("makes one call of many rows and none of no rows", () => {
    const kernel = createMemoryMaps();
    const { slots } = serviceMapsFromDatapath(kernel);
    const keys = [0, 1, 2].map((slot) => ({ serviceId: 1, clusterId: 1, slot }));
    slots.putAll([]);
    slots.deleteAll([]);
    expect(countWrites(kernel)).toBe(0);
    slots.putAll(keys.map((key) => [key, 9]));
    slots.deleteAll(keys.slice(0, 1));
    slots.deleteAll(keys.slice(1));
    expect(countWrites(kernel)).toBe(3);
    expect([...slots.entries()]).toEqual([]);
  });
});

describe("ipcacheMapFromDatapath()", () => {
  const rows = [
    { prefix: "10.0.0.1/32", tunnelEndpoint: "172.16.0.1" },
    { prefix: "10.0.0.0/24", tunnelEndpoint: "" },
    { prefix: "fd00::/64", tunnelEndpoint: "2001:db8::1" },
  ].map((row) => ({ ...row, identity: 65_836, clusterId: 2, encryptionKey: 255 }));

  for (const row of rows) {
    test(`gives ${row.prefix} back`, async () => {
      const map = ipcacheMapFromDatapath(createMemoryMaps().ipcache);
      await map.putAll([row]);
      expect([...map.entries()]).toEqual([row]);
      map.deleteAll([row.prefix]);
      expect([...map.entries()]).toEqual([]);
    });
  }

  test("keeps rows of one call apart", async () => {
    const map = ipcacheMapFromDatapath(createMemoryMaps().ipcache);
    await map.putAll(rows);
    expect([...map.entries()]).toEqual(rows);
    map.deleteAll(rows.slice(1).map(({ prefix }) => prefix));
    expect([...map.entries()]).toEqual(rows.slice(0, 1));
  });
});
