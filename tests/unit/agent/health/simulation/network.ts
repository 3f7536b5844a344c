// A network with faults, as one node sees it: clusters of nodes, a path to each with its round
// trip, and what is wrong when. Nothing here knows the judge; the truth that it is measured by is
// here.
import type { Family } from "../../../../../agent/health/observation.ts";

export interface SimulatedCluster {
  readonly id: number;
  readonly name: string;
  readonly nodes: readonly string[];
  readonly roundTripMs: number;
}

export type FaultKind =
  | "cut"
  | "uplink"
  | "node"
  | "loss"
  | "outbound"
  | "inbound"
  | "slow"
  | "pause"
  | "refuse"
  | "services"
  | "gone";

export interface Fault {
  readonly kind: FaultKind;
  readonly fromMs: number;
  readonly toMs: number;
  /** Undefined: every cluster. */
  readonly clusterId?: number;
  readonly node?: string;
  readonly family?: Family;
  /** Flapping: on for half of this, off for half, from the start on. */
  readonly periodMs?: number;
  /** Share of probes, or milliseconds. */
  readonly amount?: number;
}

export interface Network {
  readonly own: SimulatedCluster;
  readonly clusters: readonly SimulatedCluster[];
  readonly faults: readonly Fault[];
  /** Undefined: the planner's own. */
  readonly probesPerSecondMax?: number;
  readonly probesPerSecondQuiet?: number;
  /** Clusters to which nobody connects. */
  readonly unused?: readonly number[];
}

/** What keeps every probe of a path from being answered. */
const SILENCING: ReadonlySet<FaultKind> = new Set([
  "cut",
  "uplink",
  "node",
  "outbound",
  "inbound",
  "refuse",
]);

/** Deterministic, from a seed; 0 to 1. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function isOn(fault: Fault, atMs: number): boolean {
  if (atMs < fault.fromMs || atMs >= fault.toMs) return false;
  if (fault.periodMs === undefined) return true;
  return (atMs - fault.fromMs) % fault.periodMs < fault.periodMs / 2;
}

function concerns(fault: Fault, clusterId: number, family: Family): boolean {
  return (
    (fault.clusterId === undefined || fault.clusterId === clusterId) &&
    (fault.family === undefined || fault.family === family)
  );
}

/** Whether nothing gets through to a node at that time and back. */
export function isSilenced(
  network: Network,
  path: { readonly clusterId: number; readonly family: Family; readonly node: string },
  atMs: number,
): boolean {
  return network.faults.some(
    (fault) =>
      SILENCING.has(fault.kind) &&
      concerns(fault, path.clusterId, path.family) &&
      (fault.node === undefined || fault.node === path.node) &&
      isOn(fault, atMs),
  );
}

/** The same network as if our uplink were always well. */
export function withoutUplinkFaults(network: Network): Network {
  return { ...network, faults: network.faults.filter(({ kind }) => kind !== "uplink") };
}

/** Whether none of the cluster's nodes answers at that time. */
export function isClusterCut(
  network: Network,
  { id: clusterId, nodes }: SimulatedCluster,
  at: { readonly family: Family; readonly atMs: number },
): boolean {
  const { family, atMs } = at;
  if (network.faults.length === 0) return false;
  return nodes.every((node) => isSilenced(network, { clusterId, family, node }, atMs));
}

/** Whether the cluster is no peer at that time: removed, to return perhaps. */
export function isGone(network: Network, clusterId: number, atMs: number): boolean {
  return network.faults.some(
    (fault) => fault.kind === "gone" && fault.clusterId === clusterId && isOn(fault, atMs),
  );
}

export function isUplinkCut(network: Network, atMs: number): boolean {
  return network.faults.some((fault) => fault.kind === "uplink" && isOn(fault, atMs));
}

/** Share of probes lost for no fault of anybody's. */
export function lossOf(network: Network, clusterId: number, atMs: number): number {
  return largest(network, "loss", clusterId, atMs);
}

export function largest(
  network: Network,
  kind: FaultKind,
  clusterId: number,
  atMs: number,
): number {
  let amount = 0;
  for (const fault of network.faults) {
    if (fault.kind === kind && concerns(fault, clusterId, fault.family ?? 4) && isOn(fault, atMs))
      amount = Math.max(amount, fault.amount ?? 1);
  }
  return amount;
}
