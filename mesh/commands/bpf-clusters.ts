// `mesh bpf clusters`: which clusters a node gives new connections to.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { ClusterDrill, ClusterHealth } from "../../bpf/gen/layout.ts";
import { formatJson, formatTable, type Column } from "../terminal.ts";
import { BPF_USAGE, nameOfNumber, runBpfCommand } from "./bpf-node.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh bpf clusters [--node NAME | --bpf-root PATH] [--output table|json]

Shows the state of every cluster in a node's eBPF maps: its health, the share of new connections
that is drained, and a drill that is running with what is left of it. A cluster is shown if a
service has backends in it, or if its state is not the ordinary one.

${BPF_USAGE}
Examples:
  mesh bpf clusters --node east-node1
  mesh bpf clusters --bpf-root /sys/fs/bpf/tombolo --output json
`;

const NANOSECONDS_A_SECOND = 1_000_000_000n;

export interface ClusterView {
  readonly clusterId: number;
  readonly health: string;
  readonly drainedPercent: number;
  /** "none" as well once a drill has expired. */
  readonly drill: string;
  /** Whole seconds until the drill ends by itself; 0 without one. */
  readonly drillSecondsLeft: number;
  /** Services that have backends in the cluster. */
  readonly services: number;
}

export const bpfClustersCommand: Command = {
  name: "bpf clusters",
  summary: "health, drain and drill of each cluster in a node's eBPF maps",
  usage: USAGE,
  run: (args, context) =>
    runBpfCommand(args, {
      context,
      usage: USAGE,
      // The kernel compares drills with the same clock.
      collect: (maps) => collectClusters(maps, process.hrtime.bigint()),
      print: (rows, format) => (format === "json" ? formatJson(rows) : formatTable(COLUMNS, rows)),
    }),
};

/** `nowNs` is CLOCK_MONOTONIC. */
export function collectClusters(
  maps: Pick<DatapathMaps, "clusterState" | "groups">,
  nowNs: bigint,
): ClusterView[] {
  const services = new Map<number, number>();
  for (const [, { clusterId, backendCount }] of maps.groups.entries())
    if (backendCount > 0) services.set(clusterId, (services.get(clusterId) ?? 0) + 1);
  return [...maps.clusterState.entries()]
    .map(([clusterId, state]): ClusterView => {
      const left = state.drillExpiresNs - nowNs;
      const drilled = state.drill !== ClusterDrill.none && left > 0n;
      return {
        clusterId,
        health: nameOfNumber(ClusterHealth, state.health),
        drainedPercent: state.drainedPercent,
        drill: drilled ? nameOfNumber(ClusterDrill, state.drill) : "none",
        drillSecondsLeft: drilled ? Number(left / NANOSECONDS_A_SECOND) : 0,
        services: services.get(clusterId) ?? 0,
      };
    })
    .filter(
      ({ health, drainedPercent, drill, services: count }) =>
        count > 0 || health !== "healthy" || drainedPercent > 0 || drill !== "none",
    );
}

const COLUMNS: readonly Column<ClusterView>[] = [
  { header: "CLUSTER", align: "right", text: ({ clusterId }) => String(clusterId) },
  { header: "HEALTH", text: ({ health }) => health },
  { header: "DRAINED", align: "right", text: ({ drainedPercent }) => `${drainedPercent}%` },
  { header: "DRILL", text: formatDrill },
  { header: "SERVICES", align: "right", text: ({ services }) => String(services) },
];

function formatDrill({ drill, drillSecondsLeft }: ClusterView): string {
  return drill === "none" ? "-" : `${drill}, ${drillSecondsLeft}s left`;
}
