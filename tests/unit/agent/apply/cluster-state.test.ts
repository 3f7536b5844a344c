import { describe, expect, test } from "@jest/globals";
import { ClusterDrill, ClusterHealth, type ClusterState } from "../../../../bpf/gen/layout.ts";
import { clusterStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import {
  NEVER_WRITTEN,
  readClusterUsability,
  setClusterState,
} from "../../../../agent/apply/cluster-state.ts";

describe("setClusterState()", () => {
  test("changes the given fields of one cluster in one write", () => {
    const map = createMemoryMap(clusterStateMap);
    setClusterState(map, { clusterId: 2, drainedPercent: 40 });
    setClusterState(map, { clusterId: 2, healthIpv6: ClusterHealth.down });
    expect(map.writes).toBe(2);
    const row = { ...NEVER_WRITTEN, healthIpv6: ClusterHealth.down, drainedPercent: 40 };
    expect(map.get(2)).toEqual(row);
    expect(map.get(3)).toEqual(NEVER_WRITTEN);
  });

  test("refuses cluster 0, which is nobody", () => {
    const map = createMemoryMap(clusterStateMap);
    expect(() => setClusterState(map, { clusterId: 0 })).toThrow("there is none");
  });
});

describe("readClusterUsability()", () => {
  const cases: readonly [string, Partial<ClusterState>, object][] = [
    ["untouched", {}, { usable: true, health: "healthy", drainedPercent: 0, drillSeconds: 0 }],
    ["suspect", { healthIpv4: ClusterHealth.suspect }, { usable: true, health: "suspect" }],
    ["down", { healthIpv4: ClusterHealth.down }, { usable: false, health: "down" }],
    [
      "the last resort in one family and suspect in the other",
      { healthIpv4: ClusterHealth.suspect, healthIpv6: ClusterHealth.lastResort },
      { usable: true, health: "last-resort" },
    ],
    ["partly drained", { drainedPercent: 99 }, { usable: true, drainedPercent: 99 }],
    ["drained", { drainedPercent: 100 }, { usable: true, drainedPercent: 100 }],
    [
      "drained for a while yet",
      { drainedPercent: 100, drainExpiresNs: 1_000_000_001n },
      { usable: true, drainedPercent: 100 },
    ],
    [
      "drained no more",
      { drainedPercent: 100, drainExpiresNs: 1_000_000_000n },
      { usable: true, drainedPercent: 0 },
    ],
    [
      "in a drill",
      { drill: ClusterDrill.down, drillExpiresNs: 3_000_000_000n },
      { usable: false, drillSeconds: 2 },
    ],
    [
      "in a drill that is over",
      { drill: ClusterDrill.down, drillExpiresNs: 999_999_999n },
      { usable: true, drillSeconds: 0 },
    ],
  ];
  for (const [name, state, wanted] of cases) {
    test(`of a cluster that is ${name}`, () => {
      const map = createMemoryMap(clusterStateMap);
      setClusterState(map, { clusterId: 2, ...state });
      const usability = readClusterUsability(map, { clusterId: 2, kernelNowNs: 1_000_000_000n });
      expect(usability).toMatchObject(wanted);
    });
  }

  test("of one family says nothing of the other", () => {
    const map = createMemoryMap(clusterStateMap);
    setClusterState(map, { clusterId: 2, healthIpv6: ClusterHealth.down });
    const read = (family: "ipv4" | "ipv6"): boolean =>
      readClusterUsability(map, { clusterId: 2, kernelNowNs: 1n, family }).usable;
    expect([read("ipv4"), read("ipv6")]).toEqual([true, false]);
  });
});
