// Digests: equal for equal meaning, different for any difference that matters.
import { describe, expect, test } from "@jest/globals";
import { digestRows, takeSnapshot } from "../../../../agent/drill/snapshot.ts";
import { mapAddressFromText } from "../../../../bpf/address.ts";
import { BackendState, ClusterDrill } from "../../../../bpf/gen/layout.ts";
import * as specs from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { NEVER_WRITTEN } from "../../../../agent/apply/cluster-state.ts";
import { createScriptedIp } from "../../../fakes/ip-command.ts";

const signal = new AbortController().signal;
const NOW_NS = 1_000n;

/** One service with two backends of cluster 2, under these numbers and in this order of slots. */
function setup(ids: { service: number; backends: readonly [number, number] }) {
  const maps = {
    services: createMemoryMap(specs.servicesMap),
    groups: createMemoryMap(specs.groupsMap),
    backendSlots: createMemoryMap(specs.backendSlotsMap),
    backends: createMemoryMap(specs.backendsMap),
    clusterState: createMemoryMap(specs.clusterStateMap),
    ipcache: createMemoryMap(specs.ipcacheMap),
    endpoints: createMemoryMap(specs.endpointsMap),
  };
  const serviceId = ids.service;
  const key = { address: mapAddressFromText("10.96.0.1"), port: 80, protocol: 6 } as const;
  maps.services.put(key, { serviceId, groupCount: 1, affinityTimeoutSeconds: 0 });
  const group = { clusterId: 2, tier: 0, weight: 2, backendCount: 2 };
  maps.groups.put({ serviceId, index: 0 }, group);
  for (const [i, backendId] of ids.backends.entries()) {
    const slot = backendId === Math.min(...ids.backends) ? 0 : 1;
    maps.backendSlots.put({ serviceId, clusterId: 2, slot }, { backendId });
    maps.backends.put(
      { backendId },
      {
        address: mapAddressFromText(`10.2.0.${i}`),
        port: 8_080,
        protocol: 6,
        state: BackendState.active,
        clusterId: 2,
      },
    );
  }
  const ip = createScriptedIp();
  ip.answers.set("-4 route show proto 84", [{ dst: "10.2.0.0/16", dev: "vx" }]);
  ip.answers.set("-6 route show proto 84", []);
  return { maps, ip, kernelNowNs: () => NOW_NS };
}

describe("takeSnapshot()", () => {
  test("is the same for a service that went and came back under other numbers", async () => {
    const first = await takeSnapshot(setup({ service: 1, backends: [1, 2] }), signal);
    const second = await takeSnapshot(setup({ service: 9, backends: [7, 3] }), signal);
    expect(second).toEqual(first);
    expect(first.rows).toMatchObject({ services: 1, backends: 2, backend_slots: 2, "routes-4": 1 });
  });

  test("tells a backend that is down, a drained cluster and a route that is missing", async () => {
    const parts = setup({ service: 1, backends: [1, 2] });
    const before = await takeSnapshot(parts, signal);
    const row = parts.maps.backends.get({ backendId: 1 });
    if (row === undefined) throw new Error("The backend that was written is not there");
    parts.maps.backends.put({ backendId: 1 }, { ...row, state: BackendState.down });
    parts.maps.clusterState.put(2, { ...NEVER_WRITTEN, drainedPercent: 10 });
    parts.ip.answers.set("-4 route show proto 84", []);
    const after = await takeSnapshot(parts, signal);
    const changed = Object.keys(before.digests).filter(
      (name) => before.digests[name] !== after.digests[name],
    );
    // Slots name their backends by what those are.
    expect(changed.sort()).toEqual(["backend_slots", "backends", "cluster_state", "routes-4"]);
  });

  test("takes no notice of what has expired", async () => {
    const parts = setup({ service: 1, backends: [1, 2] });
    const before = await takeSnapshot(parts, signal);
    const expired = { drill: ClusterDrill.down, drillExpiresNs: NOW_NS, drainExpiresNs: 1n };
    parts.maps.clusterState.put(2, { ...NEVER_WRITTEN, ...expired, drainedPercent: 50 });
    expect(await takeSnapshot(parts, signal)).toEqual(before);
    parts.maps.clusterState.put(2, { ...NEVER_WRITTEN, ...expired, drillExpiresNs: NOW_NS + 1n });
    expect(await takeSnapshot(parts, signal)).not.toEqual(before);
  });
});

describe("digestRows()", () => {
  test("does not depend on the order, and does on the number of equal rows", async () => {
    const rows = Array.from({ length: 5_000 }, (_, i) => `row ${i}`);
    const digest = await digestRows(rows);
    expect(await digestRows([...rows].reverse())).toEqual(digest);
    expect(digest.rows).toBe(5_000);
    expect((await digestRows([...rows, "row 0"])).digest).not.toBe(digest.digest);
  });
});
