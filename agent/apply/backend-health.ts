// Which backends the datapath passes over, as marks in their own rows: one write a backend, however
// many services use it. Why a backend is down is told by the judge's view; which backends a node
// that is down has, by intent.
//
// A mark that was there when the agent began stays until its node is heard: a start moves no
// traffic. While this node is cut off, backends of our own cluster on other nodes are marked too,
// where every frontend that uses them has one on this node.
import { BackendState, type Backend, type BackendKey } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { Family, HealthView } from "../health/observation.ts";
import type { BackendValue } from "./service-maps.ts";
import { backendKey, type ServiceState } from "./service-state.ts";

export type BackendHealthMap = Pick<BpfMap<BackendKey, Backend>, "get" | "putBatch" | "entries">;

export interface BackendPlace {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  readonly node: string | undefined;
}

export interface BackendChange {
  readonly down: readonly number[];
  /** Of those, the ones that a judge called down, rather than us being cut off. */
  readonly failed: readonly number[];
  readonly up: readonly number[];
}

export interface BackendHealthTarget {
  /** Also of a backend that has no row yet. */
  isDown(value: BackendValue): boolean;
  downCount(): number;
  placeOf(backendId: number): BackendPlace | undefined;
  /** Nodes with backends that are down from before; they are asked until they answer. */
  nodesInDoubt(): readonly BackendPlace[];
  /** Looks at what the view says; cheap while nothing is down. */
  apply(view: HealthView): BackendChange;
  /** Nothing is held against any backend. */
  forget(): void;
}

export interface BackendHealthOptions {
  readonly map: BackendHealthMap;
  readonly state: () => ServiceState;
  readonly own: { readonly clusterId: ClusterId; readonly node: string };
  readonly clusterName: (clusterId: ClusterId) => string | undefined;
  readonly nodeOf: (clusterId: ClusterId, address: string) => string | undefined;
  /** Whether a probe of the node was answered since the agent began. */
  readonly isHeard: (place: BackendPlace) => boolean;
}

export function createBackendHealthTarget(options: BackendHealthOptions): BackendHealthTarget {
  const { map, state, own } = options;
  let down = new Set<number>();
  let nodesDown: ReadonlySet<string> = new Set();
  /** From before this agent began, and not yet known better. */
  const begun = new Set<number>();
  for (const [{ backendId }, backend] of map.entries()) {
    if (backend.state === BackendState.down) begun.add(backendId);
  }
  down = new Set(begun);

  function placeOfValue(value: BackendValue): BackendPlace {
    const { clusterId, address } = value;
    return {
      clusterId,
      cluster: options.clusterName(clusterId) ?? "",
      family: address.includes(":") ? 6 : 4,
      node: options.nodeOf(clusterId, address),
    };
  }

  function settleBegun(): void {
    for (const id of begun) {
      const value = state().backends.get(id)?.value;
      if (value === undefined) begun.delete(id);
      else {
        const place = placeOfValue(value);
        const isOwn = place.clusterId === own.clusterId && place.node === own.node;
        if (isOwn || (place.node !== undefined && options.isHeard(place))) begun.delete(id);
      }
    }
  }

  function onNodesDown(): number[] {
    if (nodesDown.size === 0) return [];
    const found: number[] = [];
    for (const [id, { value }] of state().backends) {
      if (nodesDown.has(keyOfPlace(placeOfValue(value)))) found.push(id);
    }
    return found;
  }

  function outOfReach(): Set<number> {
    const isHere = (id: number): boolean => {
      const value = state().backends.get(id)?.value;
      return value?.clusterId === own.clusterId && placeOfValue(value).node === own.node;
    };
    return replaceableBackends(state(), own.clusterId, isHere);
  }

  function write(ids: readonly number[], to: BackendState): void {
    const rows: (readonly [BackendKey, Backend])[] = [];
    for (const backendId of ids) {
      const row = map.get({ backendId });
      if (row !== undefined && row.state !== to) rows.push([{ backendId }, { ...row, state: to }]);
    }
    if (rows.length > 0) map.putBatch(rows);
  }

  function change(wanted: Set<number>, failed: ReadonlySet<number>): BackendChange {
    const goesDown = [...wanted].filter((id) => !down.has(id));
    const comesUp = [...down].filter((id) => !wanted.has(id));
    down = wanted;
    write(goesDown, BackendState.down);
    write(comesUp, BackendState.active);
    return { down: goesDown, failed: goesDown.filter((id) => failed.has(id)), up: comesUp };
  }

  return {
    isDown(value) {
      if (down.size === 0 && nodesDown.size === 0) return false;
      const id = state().backendIds.get(backendKey(value));
      if (id !== undefined && down.has(id)) return true;
      return nodesDown.size > 0 && nodesDown.has(keyOfPlace(placeOfValue(value)));
    },
    downCount: () => down.size,
    placeOf(backendId) {
      const value = state().backends.get(backendId)?.value;
      return value === undefined ? undefined : placeOfValue(value);
    },
    nodesInDoubt() {
      const places = new Map<string, BackendPlace>();
      for (const id of begun) {
        const value = state().backends.get(id)?.value;
        const place = value === undefined ? undefined : placeOfValue(value);
        if (place?.node !== undefined) places.set(keyOfPlace(place), place);
      }
      return [...places.values()];
    },
    apply(view) {
      if (begun.size > 0) settleBegun();
      nodesDown = new Set(view.nodesDown.map(keyOfPlace));
      const known = (id: number): boolean => state().backends.has(id);
      const failed = new Set([...view.backendsDown.filter(known), ...onNodesDown()]);
      const wanted = new Set([...failed, ...begun]);
      if (view.isolated) for (const id of outOfReach()) wanted.add(id);
      return change(wanted, failed);
    },
    forget() {
      begun.clear();
      nodesDown = new Set();
      change(new Set(), new Set());
    },
  };
}

function keyOfPlace(place: Pick<BackendPlace, "clusterId" | "family" | "node">): string {
  return `${place.clusterId}/${place.family}/${place.node ?? ""}`;
}

/** Backends of the cluster elsewhere that nobody needs: all who use them have one here. */
function replaceableBackends(
  { frontends }: ServiceState,
  clusterId: ClusterId,
  isHere: (id: number) => boolean,
): Set<number> {
  const elsewhere = new Set<number>();
  const needed = new Set<number>();
  for (const { groups } of frontends.values()) {
    const slots = groups.find((group) => group.clusterId === clusterId)?.slots ?? [];
    const hasOneHere = slots.some(isHere);
    for (const id of slots) {
      if (!hasOneHere) needed.add(id);
      else if (!isHere(id)) elsewhere.add(id);
    }
  }
  for (const id of needed) elsewhere.delete(id);
  return elsewhere;
}
