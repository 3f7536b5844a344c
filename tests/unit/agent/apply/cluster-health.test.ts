import { describe, expect, test } from "@jest/globals";
import { ClusterDrill, ClusterHealth } from "../../../../bpf/gen/layout.ts";
import { clusterStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createClusterHealthTarget } from "../../../../agent/apply/cluster-health.ts";
import { NEVER_WRITTEN } from "../../../../agent/apply/cluster-state.ts";
import type {
  ClusterView,
  Family,
  HealthState,
  HealthView,
} from "../../../../agent/health/observation.ts";

const { healthy, suspect, down, lastResort } = ClusterHealth;

function seen(clusterId: number, family: Family, state: HealthState, heldBack = 0): ClusterView {
  return {
    clusterId,
    cluster: `c${clusterId}`,
    family,
    state,
    reason: undefined,
    heldBackPercent: heldBack,
    lossPercent: 0,
    roundTripMs: undefined,
    usualRoundTripMs: undefined,
  };
}

function view(clusters: readonly ClusterView[], isolated = false): HealthView {
  return { clusters, nodesDown: [], backendsDown: [], isolated, probeAlso: [] };
}

describe("createClusterHealthTarget()", () => {
  test("writes both families of a cluster at once, and only what changed", () => {
    const map = createMemoryMap(clusterStateMap);
    const target = createClusterHealthTarget(map);
    const both = view([seen(2, 4, "down"), seen(2, 6, "down"), seen(3, 4, "healthy")]);
    expect(target.apply(both)).toEqual([2]);
    expect(map.get(2)).toMatchObject({ healthIpv4: down, healthIpv6: down });
    expect(target.apply(both)).toEqual([]);
    expect(map.writes).toBe(1);
    expect(target.impaired()).toEqual([2]);
  });

  test("returns traffic in the steps that the judge takes", () => {
    const map = createMemoryMap(clusterStateMap);
    const target = createClusterHealthTarget(map);
    target.apply(view([seen(2, 4, "down")]));
    target.apply(view([seen(2, 4, "recovering", 90)]));
    expect(map.get(2)).toMatchObject({ healthIpv4: healthy, heldBackPercentIpv4: 90 });
    target.apply(view([seen(2, 4, "suspect")]));
    expect(map.get(2)).toMatchObject({ healthIpv4: suspect, heldBackPercentIpv4: 0 });
    target.apply(view([seen(2, 4, "healthy")]));
    expect(map.get(2)).toEqual(NEVER_WRITTEN);
  });

  test("leaves drains and drills to those who wrote them", () => {
    const map = createMemoryMap(clusterStateMap);
    const target = createClusterHealthTarget(map);
    const others = { drainedPercent: 30, drill: ClusterDrill.down, drillExpiresNs: 9n };
    map.put(2, { ...NEVER_WRITTEN, ...others });
    target.apply(view([seen(2, 4, "down")]));
    target.forget(2);
    expect(map.get(2)).toEqual({ ...NEVER_WRITTEN, ...others });
  });

  test("keeps what a row held when it began until something is known", () => {
    const map = createMemoryMap(clusterStateMap);
    map.put(2, { ...NEVER_WRITTEN, healthIpv4: down, heldBackPercentIpv6: 50 });
    const target = createClusterHealthTarget(map);
    expect(target.downBefore).toEqual([{ clusterId: 2, family: 4 }]);
    expect(target.apply(view([seen(2, 4, "unknown"), seen(2, 6, "unknown")]))).toEqual([]);
    target.apply(view([seen(2, 4, "healthy"), seen(2, 6, "unknown")]));
    expect(map.get(2)).toMatchObject({ healthIpv4: healthy, heldBackPercentIpv6: 50 });
  });

  test("makes the others the last resort while this node is cut off, but not what is down", () => {
    const map = createMemoryMap(clusterStateMap);
    const target = createClusterHealthTarget(map);
    const clusters = [seen(2, 4, "suspect"), seen(3, 4, "down"), seen(4, 4, "unknown")];
    target.apply(view(clusters, true));
    expect([2, 3, 4].map((id) => map.get(id)?.healthIpv4)).toEqual([lastResort, down, lastResort]);
    target.apply(view(clusters));
    expect([2, 3, 4].map((id) => map.get(id)?.healthIpv4)).toEqual([suspect, down, healthy]);
  });

  test("ends the last resort of an earlier agent for all with the first answer", () => {
    const map = createMemoryMap(clusterStateMap);
    for (const id of [2, 3]) map.put(id, { ...NEVER_WRITTEN, healthIpv4: lastResort });
    const target = createClusterHealthTarget(map);
    target.apply(view([seen(2, 4, "unknown"), seen(3, 4, "unknown")]));
    expect(map.get(3)?.healthIpv4).toBe(lastResort);
    target.apply(view([seen(2, 4, "healthy"), seen(3, 4, "unknown")]));
    expect([2, 3].map((id) => map.get(id)?.healthIpv4)).toEqual([healthy, healthy]);
  });
});
