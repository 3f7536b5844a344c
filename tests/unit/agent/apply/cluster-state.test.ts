import { describe, expect, test } from "@jest/globals";
import { ClusterDrill, ClusterHealth, type ClusterState } from "../../../../bpf/gen/layout.ts";
import { clusterStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { readClusterUsability, setClusterState } from "../../../../agent/apply/cluster-state.ts";

describe("setClusterState()", () => {
  test("changes the given fields of one cluster in one write", () => {
    const map = createMemoryMap(clusterStateMap);
    setClusterState(map, { clusterId: 2, drainedPercent: 40 });
    setClusterState(map, { clusterId: 2, health: ClusterHealth.down });
    expect(map.writes).toBe(2);
    expect(map.get(2)).toEqual({
      drillExpiresNs: 0n,
      health: ClusterHealth.down,
      drainedPercent: 40,
      drill: ClusterDrill.none,
    });
    expect(map.get(3)?.health).toBe(ClusterHealth.healthy);
  });

  test("refuses cluster 0, which is nobody", () => {
    const map = createMemoryMap(clusterStateMap);
    expect(() => setClusterState(map, { clusterId: 0 })).toThrow("there is none");
  });
});

describe("readClusterUsability()", () => {
  const cases: readonly [string, Partial<ClusterState>, object][] = [
    ["untouched", {}, { usable: true, health: "healthy", drainedPercent: 0, drillSeconds: 0 }],
    ["suspect", { health: ClusterHealth.suspect }, { usable: true, health: "suspect" }],
    ["down", { health: ClusterHealth.down }, { usable: false, health: "down" }],
    ["partly drained", { drainedPercent: 99 }, { usable: true, drainedPercent: 99 }],
    ["drained", { drainedPercent: 100 }, { usable: false }],
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
});
