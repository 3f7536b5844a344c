import { describe, expect, test } from "@jest/globals";
import { BackendState, IpProtocol } from "../../../../bpf/gen/layout.ts";
import { mapAddressFromText } from "../../../../bpf/address.ts";
import { backendsMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createBackendHealthTarget } from "../../../../agent/apply/backend-health.ts";
import {
  backendKey,
  type FrontendState,
  type ServiceState,
} from "../../../../agent/apply/service-state.ts";
import type { HealthView, NodeView } from "../../../../agent/health/observation.ts";

const EAST = 1;
const WEST = 2;
/** Id → where: on our own node, on another of our cluster, on two nodes of west. */
const BACKENDS: readonly [number, number, string][] = [
  [11, EAST, "10.1.1.5"],
  [12, EAST, "10.1.2.5"],
  [21, WEST, "10.2.1.5"],
  [22, WEST, "10.2.2.5"],
];
const NODES: Readonly<Record<string, string>> = {
  "10.1.1.5": "east-1",
  "10.1.2.5": "east-2",
  "10.2.1.5": "west-1",
  "10.2.2.5": "west-2",
};
const WEST_1: NodeView = { clusterId: WEST, cluster: "west", family: 4, node: "west-1" };

function view(change: Partial<HealthView>): HealthView {
  const well = { clusters: [], nodesDown: [], backendsDown: [], isolated: false, probeAlso: [] };
  return { ...well, ...change };
}

function frontend(slots: Readonly<Record<number, readonly number[]>>): FrontendState {
  return {
    address: { address: "10.96.0.1", port: 80, protocol: "TCP" },
    serviceId: 1,
    affinitySeconds: 0,
    groups: Object.entries(slots).map(([clusterId, ids]) => ({
      clusterId: Number(clusterId),
      tier: 0,
      weight: 1,
      slots: ids,
    })),
  };
}

function start(parts: { downBefore?: number; frontends?: Record<string, FrontendState> } = {}) {
  const map = createMemoryMap(backendsMap);
  const backends: ServiceState["backends"] = new Map();
  const backendIds = new Map<string, number>();
  for (const [id, clusterId, address] of BACKENDS) {
    const value = { clusterId, address, port: 80, protocol: "TCP" as const };
    backends.set(id, { value, references: 1 });
    backendIds.set(backendKey(value), id);
    map.put(
      { backendId: id },
      {
        clusterId,
        address: mapAddressFromText(address),
        port: 80,
        protocol: IpProtocol.tcp,
        state: id === parts.downBefore ? BackendState.down : BackendState.active,
      },
    );
  }
  const heard = new Set<string>();
  const state: ServiceState = {
    frontends: new Map(Object.entries(parts.frontends ?? {})),
    backends,
    backendIds,
    groupCount: { value: 0 },
    slotCount: { value: 0 },
    leftovers: { services: new Map(), groups: [], slots: [] },
    nextServiceId: () => 1,
    nextBackendId: () => 1,
  };
  const target = createBackendHealthTarget({
    map,
    state: () => state,
    own: { clusterId: EAST, node: "east-1" },
    clusterName: (id) => (id === EAST ? "east" : "west"),
    nodeOf: (_, address) => NODES[address],
    isHeard: ({ node }) => heard.has(node ?? ""),
  });
  const down = (): number[] =>
    [...map.entries()].flatMap(([{ backendId }, row]) =>
      row.state === BackendState.down ? [backendId] : [],
    );
  return { target, state, heard, down };
}

describe("createBackendHealthTarget()", () => {
  test("marks the backends of a node that is down, and takes the marks off", () => {
    const { target, down } = start();
    expect(target.apply(view({ nodesDown: [WEST_1] }))).toEqual({
      down: [21],
      failed: [21],
      up: [],
    });
    expect(down()).toEqual([21]);
    expect(target.downCount()).toBe(1);
    expect(target.apply(view({}))).toEqual({ down: [], failed: [], up: [21] });
    expect(down()).toEqual([]);
  });

  test("marks what the judge names, if the datapath has it", () => {
    const { target, down } = start();
    expect(target.apply(view({ backendsDown: [22, 99] })).down).toEqual([22]);
    expect(down()).toEqual([22]);
    expect(target.placeOf(22)).toMatchObject({ cluster: "west", node: "west-2", family: 4 });
    expect(target.placeOf(99)).toBeUndefined();
  });

  test("knows of a backend that has no row yet whether its node is down", () => {
    const { target, state } = start();
    const value = { clusterId: WEST, address: "10.2.1.5", port: 81, protocol: "UDP" as const };
    expect(target.isDown(value)).toBe(false);
    target.apply(view({ nodesDown: [WEST_1] }));
    expect(state.backendIds.has(backendKey(value))).toBe(false);
    expect(target.isDown(value)).toBe(true);
    expect(target.isDown({ ...value, address: "10.2.2.5" })).toBe(false);
  });

  test("keeps a mark from before until the backend's node is heard", () => {
    const { target, heard, down } = start({ downBefore: 21 });
    target.apply(view({}));
    expect(down()).toEqual([21]);
    expect(target.nodesInDoubt()).toMatchObject([{ node: "west-1" }]);
    heard.add("west-1");
    expect(target.apply(view({})).up).toEqual([21]);
    expect(target.nodesInDoubt()).toEqual([]);
  });

  test("keeps a node that is cut off with its own backends where there are some", () => {
    const frontends = {
      both: frontend({ [EAST]: [11, 12], [WEST]: [21] }),
      elsewhere: frontend({ [WEST]: [22] }),
    };
    const { target, down } = start({ frontends });
    expect(target.apply(view({ isolated: true }))).toEqual({ down: [12], failed: [], up: [] });
    expect(target.apply(view({})).up).toEqual([12]);
    const { target: needed, down: downOfNeeded } = start({
      frontends: { ...frontends, only: frontend({ [EAST]: [12] }) },
    });
    needed.apply(view({ isolated: true }));
    expect([down(), downOfNeeded()]).toEqual([[], []]);
  });

  test("forgets everything when health is switched off", () => {
    const { target, down } = start({ downBefore: 21 });
    target.forget();
    expect(down()).toEqual([]);
    expect(target.downCount()).toBe(0);
  });
});
