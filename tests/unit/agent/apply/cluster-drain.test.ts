import { beforeEach, describe, expect, test } from "@jest/globals";
import {
  createClusterDrainTarget,
  type ClusterDrainMap,
  type WantedDrain,
} from "../../../../agent/apply/cluster-drain.ts";
import { setClusterState } from "../../../../agent/apply/cluster-state.ts";
import { ClusterHealth } from "../../../../bpf/gen/layout.ts";
import { clusterStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";

const SECOND_NS = 1_000_000_000n;
const WEST = 2;
const FULL: WantedDrain = { percent: 100, remainingMs: 0 };

let map: ClusterDrainMap;
let nowNs: bigint;

beforeEach(() => {
  map = createMemoryMap(clusterStateMap);
  nowNs = 50n * SECOND_NS;
});

const target = () => createClusterDrainTarget(map, { kernelNowNs: () => nowNs });
const wanted = (drain: WantedDrain) => new Map([[WEST, drain]]);
const none: ReadonlyMap<number, WantedDrain> = new Map();
const [all, nobody] = [() => true, () => false];

describe("createClusterDrainTarget()", () => {
  test("writes share and end in the kernel's clock, and leaves health alone", () => {
    setClusterState(map, { clusterId: WEST, healthIpv4: ClusterHealth.suspect });
    const drains = target();
    expect(drains.apply(wanted({ percent: 25, remainingMs: 20_000 }), all)).toEqual([WEST]);
    expect(map.get(WEST)).toMatchObject({
      drainedPercent: 25,
      drainExpiresNs: 70n * SECOND_NS,
      healthIpv4: ClusterHealth.suspect,
    });
    setClusterState(map, { clusterId: WEST, healthIpv4: ClusterHealth.down });
    expect(drains.apply(none, all)).toEqual([WEST]);
    expect(map.get(WEST)).toMatchObject({
      drainedPercent: 0,
      drainExpiresNs: 0n,
      healthIpv4: ClusterHealth.down,
    });
    expect(drains.apply(none, all)).toEqual([]);
  });

  test("writes nothing while nothing changes but the time", () => {
    const drains = target();
    drains.apply(wanted({ percent: 25, remainingMs: 20_000 }), all);
    nowNs += 5n * SECOND_NS;
    expect(drains.apply(wanted({ percent: 25, remainingMs: 15_200 }), all)).toEqual([]);
    expect(drains.apply(wanted({ percent: 25, remainingMs: 60_000 }), all)).toEqual([WEST]);
    expect(drains.apply(wanted({ percent: 25, remainingMs: 0 }), all)).toEqual([WEST]);
    expect(map.get(WEST)?.drainExpiresNs).toBe(0n);
  });

  test("keeps what an earlier agent left until it is known that nobody wants it", () => {
    setClusterState(map, { clusterId: WEST, drainedPercent: 60 });
    const drains = target();
    expect(drains.apply(none, nobody)).toEqual([]);
    expect(drains.apply(wanted({ percent: 30, remainingMs: 0 }), nobody)).toEqual([]);
    expect(drains.apply(wanted(FULL), nobody)).toEqual([WEST]);
    expect(map.get(WEST)?.drainedPercent).toBe(100);
    expect(drains.apply(none, all)).toEqual([WEST]);
    expect(map.get(WEST)?.drainedPercent).toBe(0);
  });

  test("takes a drain that is over for none", () => {
    setClusterState(map, { clusterId: WEST, drainedPercent: 60, drainExpiresNs: 40n * SECOND_NS });
    const drains = target();
    expect(drains.apply(wanted({ percent: 30, remainingMs: 0 }), nobody)).toEqual([WEST]);
    expect(map.get(WEST)).toMatchObject({ drainedPercent: 30, drainExpiresNs: 0n });
  });
});
