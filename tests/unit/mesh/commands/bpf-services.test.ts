import { describe, expect, test } from "@jest/globals";
import { mapAddressFromAddress } from "../../../../bpf/address.ts";
import { BackendState, IpProtocol } from "../../../../bpf/gen/layout.ts";
import { backendsMap, backendSlotsMap, groupsMap, servicesMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { collectServices, formatServices } from "../../../../mesh/commands/bpf-services.ts";
import { parseAddress } from "../../../../mesh/core/address.ts";

function createMaps(): Parameters<typeof collectServices>[0] {
  const maps = {
    services: createMemoryMap(servicesMap),
    groups: createMemoryMap(groupsMap),
    backendSlots: createMemoryMap(backendSlotsMap),
    backends: createMemoryMap(backendsMap),
  };
  const bytes = (text: string): Uint8Array => mapAddressFromAddress(parseAddress(text));
  const protocol = IpProtocol.tcp;
  maps.services.put(
    { address: bytes("fd00:96::1"), port: 443, protocol },
    { serviceId: 2, groupCount: 0, affinityTimeoutSeconds: 10_800 },
  );
  maps.services.put(
    { address: bytes("10.96.0.1"), port: 80, protocol },
    { serviceId: 1, groupCount: 2, affinityTimeoutSeconds: 0 },
  );
  const group = { tier: 0, weight: 1, backendCount: 1 };
  maps.groups.put({ serviceId: 1, index: 0 }, { ...group, clusterId: 1, backendCount: 2 });
  maps.groups.put({ serviceId: 1, index: 1 }, { ...group, clusterId: 2, tier: 1 });
  for (const [clusterId, slot, backendId] of [
    [1, 0, 7],
    [1, 1, 8],
    [2, 0, 9],
  ] as const)
    maps.backendSlots.put({ serviceId: 1, clusterId, slot }, { backendId });
  const backend = { port: 8080, protocol, state: BackendState.active, clusterId: 1 };
  maps.backends.put({ backendId: 7 }, { ...backend, address: bytes("10.1.0.2") });
  maps.backends.put(
    { backendId: 8 },
    { ...backend, address: bytes("fd01::2"), state: BackendState.down },
  );
  return maps;
}

describe("collectServices()", () => {
  test("joins the maps, sorts by id, and leaves out rows that are missing", () => {
    expect(collectServices(createMaps())).toEqual([
      {
        id: 1,
        address: "10.96.0.1",
        port: 80,
        protocol: "tcp",
        affinitySeconds: 0,
        groups: [
          {
            clusterId: 1,
            tier: 0,
            weight: 1,
            backends: [
              { id: 7, address: "10.1.0.2", port: 8080, state: "active" },
              { id: 8, address: "fd01::2", port: 8080, state: "down" },
            ],
          },
          { clusterId: 2, tier: 1, weight: 1, backends: [] },
        ],
      },
      {
        id: 2,
        address: "fd00:96::1",
        port: 443,
        protocol: "tcp",
        affinitySeconds: 10_800,
        groups: [],
      },
    ]);
  });
});

describe("formatServices()", () => {
  test("has a line a group, and one for a service without", () => {
    expect(formatServices(collectServices(createMaps()))).toBe(
      `ID  FRONTEND          PROTOCOL  AFFINITY  CLUSTER  TIER  WEIGHT  BACKENDS
 1  10.96.0.1:80      tcp       none            1     0       1  10.1.0.2:8080 [fd01::2]:8080 (down)
 1  10.96.0.1:80      tcp       none            2     1       1  -
 2  [fd00:96::1]:443  tcp       10800s          -     -       -  -
`,
    );
  });
});
