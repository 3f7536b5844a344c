import { describe, expect, test } from "@jest/globals";
import { ClusterDrill, ClusterHealth } from "../../../../bpf/gen/layout.ts";
import { clusterStateMap, groupsMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { collectClusters } from "../../../../mesh/commands/bpf-clusters.ts";

const NOW_NS = 5_000_000_000n;
const ORDINARY = {
  clusterId: 0,
  healthIpv4: "healthy",
  healthIpv6: "healthy",
  heldBackPercentIpv4: 0,
  heldBackPercentIpv6: 0,
  drainedPercent: 0,
  drill: "none",
  drillSecondsLeft: 0,
  services: 0,
};

describe("collectClusters()", () => {
  test("shows clusters with services or with a state of their own, and no expired drill or drain", () => {
    const clusterState = createMemoryMap(clusterStateMap);
    const groups = createMemoryMap(groupsMap);
    const state = {
      drillExpiresNs: 0n,
      drainExpiresNs: 0n,
      healthIpv4: ClusterHealth.healthy,
      healthIpv6: ClusterHealth.healthy,
      heldBackPercentIpv4: 0,
      heldBackPercentIpv6: 0,
      drainedPercent: 0,
      drill: ClusterDrill.none,
    };
    const down = { ...state, drill: ClusterDrill.down };
    clusterState.put(3, { ...state, healthIpv6: ClusterHealth.down });
    clusterState.put(4, { ...state, drainedPercent: 30 });
    clusterState.put(5, { ...down, drillExpiresNs: NOW_NS + 2_900_000_000n });
    clusterState.put(6, { ...down, drillExpiresNs: NOW_NS });
    clusterState.put(7, { ...state, heldBackPercentIpv4: 90 });
    clusterState.put(8, { ...state, drainedPercent: 100, drainExpiresNs: NOW_NS });
    const group = { clusterId: 1, tier: 0, weight: 1, backendCount: 1 };
    groups.put({ serviceId: 1, index: 0 }, group);
    groups.put({ serviceId: 2, index: 0 }, group);
    groups.put({ serviceId: 2, index: 1 }, { ...group, clusterId: 2, backendCount: 0 });
    expect(collectClusters({ clusterState, groups }, NOW_NS)).toEqual([
      { ...ORDINARY, clusterId: 1, services: 2 },
      { ...ORDINARY, clusterId: 3, healthIpv6: "down" },
      { ...ORDINARY, clusterId: 4, drainedPercent: 30 },
      { ...ORDINARY, clusterId: 5, drill: "down", drillSecondsLeft: 2 },
      { ...ORDINARY, clusterId: 7, heldBackPercentIpv4: 90 },
    ]);
  });
});
