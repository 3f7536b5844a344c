// `mesh bpf clusters`: which clusters a node gives new connections to.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { ClusterDrill, ClusterHealth } from "../../bpf/gen/layout.ts";
import { formatJson, formatTable, type Column } from "../terminal.ts";
import { BPF_USAGE, nameOfNumber, runBpfCommand } from "./bpf-node.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh bpf clusters [--node NAME | --bpf-root PATH] [--output table|json]

Shows the state of every cluster in a node's eBPF maps: its health in each address family, the
share of new connections that is held back while it returns or drained, and a drill that is running
with what is left of it. A cluster is shown if a service has backends in it, or if its state is not
the ordinary one.

${BPF_USAGE}
Examples:
  mesh bpf clusters --node east-node1
  mesh bpf clusters --bpf-root /sys/fs/bpf/tombolo --output json
`;

const NANOSECONDS_A_SECOND = 1_000_000_000n;

export interface ClusterView {
  readonly clusterId: number;
  readonly healthIpv4: string;
  readonly healthIpv6: string;
  readonly heldBackPercentIpv4: number;
  readonly heldBackPercentIpv6: number;
  /** 0 as well once the drain is over. */
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
      const drainOver = state.drainExpiresNs > 0n && state.drainExpiresNs <= nowNs;
      const drilled = state.drill !== ClusterDrill.none && left > 0n;
      return {
        clusterId,
        healthIpv4: nameOfNumber(ClusterHealth, state.healthIpv4),
        healthIpv6: nameOfNumber(ClusterHealth, state.healthIpv6),
        heldBackPercentIpv4: state.heldBackPercentIpv4,
        heldBackPercentIpv6: state.heldBackPercentIpv6,
        drainedPercent: drainOver ? 0 : state.drainedPercent,
        drill: drilled ? nameOfNumber(ClusterDrill, state.drill) : "none",
        drillSecondsLeft: drilled ? Number(left / NANOSECONDS_A_SECOND) : 0,
        services: services.get(clusterId) ?? 0,
      };
    })
    .filter((view) => view.services > 0 || !isOrdinary(view));
}

function isOrdinary(view: ClusterView): boolean {
  return (
    view.healthIpv4 === "healthy" &&
    view.healthIpv6 === "healthy" &&
    view.heldBackPercentIpv4 === 0 &&
    view.heldBackPercentIpv6 === 0 &&
    view.drainedPercent === 0 &&
    view.drill === "none"
  );
}

const COLUMNS: readonly Column<ClusterView>[] = [
  { header: "CLUSTER", align: "right", text: ({ clusterId }) => String(clusterId) },
  { header: "HEALTH", text: (view) => bothFamilies(view.healthIpv4, view.healthIpv6) },
  { header: "HELD BACK", align: "right", text: formatHeldBack },
  { header: "DRAINED", align: "right", text: ({ drainedPercent }) => `${drainedPercent}%` },
  { header: "DRILL", text: formatDrill },
  { header: "SERVICES", align: "right", text: ({ services }) => String(services) },
];

function bothFamilies(ipv4: string, ipv6: string): string {
  return ipv4 === ipv6 ? ipv4 : `IPv4 ${ipv4}, IPv6 ${ipv6}`;
}

function formatHeldBack({ heldBackPercentIpv4, heldBackPercentIpv6 }: ClusterView): string {
  return bothFamilies(`${heldBackPercentIpv4}%`, `${heldBackPercentIpv6}%`);
}

function formatDrill({ drill, drillSecondsLeft }: ClusterView): string {
  return drill === "none" ? "-" : `${drill}, ${drillSecondsLeft}s left`;
}
