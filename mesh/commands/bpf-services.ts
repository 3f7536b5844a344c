// `mesh bpf services`: what socket load balancing on a node will do with a call to a service.
import { addressFromMapAddress } from "../../bpf/address.ts";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { BackendState, IpProtocol, type Group } from "../../bpf/gen/layout.ts";
import { formatJson, formatTable, type Column } from "../terminal.ts";
import { BPF_USAGE, formatHostPort, nameOfNumber, runBpfCommand } from "./bpf-node.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh bpf services [--node NAME | --bpf-root PATH] [--output table|json]

Shows the services in a node's eBPF maps: for each frontend its groups (one a cluster) in the order
in which they are tried, and their backends. Only this is what a call on the node goes by.

${BPF_USAGE}
Examples:
  mesh bpf services --node east-node1
  mesh bpf services --bpf-root /sys/fs/bpf/tombolo --output json
`;

export interface BackendView {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly state: string;
}

export interface GroupView {
  readonly clusterId: number;
  readonly tier: number;
  readonly weight: number;
  readonly backends: readonly BackendView[];
}

export interface ServiceView {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly affinitySeconds: number;
  readonly groups: readonly GroupView[];
}

type ServiceMaps = Pick<DatapathMaps, "services" | "groups" | "backendSlots" | "backends">;

export const bpfServicesCommand: Command = {
  name: "bpf services",
  summary: "services, clusters and backends in a node's eBPF maps",
  usage: USAGE,
  run: (args, context) =>
    runBpfCommand(args, {
      context,
      usage: USAGE,
      collect: collectServices,
      print: (services, format) =>
        format === "json" ? formatJson(services) : formatServices(services),
    }),
};

/** Sorted by id. Rows that are missing (a change is under way) are left out. */
export function collectServices(maps: ServiceMaps): ServiceView[] {
  return [...maps.services.entries()]
    .map(([key, service]) => ({
      id: service.serviceId,
      address: addressFromMapAddress(key.address).text,
      port: key.port,
      protocol: nameOfNumber(IpProtocol, key.protocol),
      affinitySeconds: service.affinityTimeoutSeconds,
      groups: range(service.groupCount).flatMap((index) => {
        const group = maps.groups.get({ serviceId: service.serviceId, index });
        return group === undefined ? [] : [collectGroup(maps, service.serviceId, group)];
      }),
    }))
    .sort((a, b) => a.id - b.id);
}

function collectGroup(maps: ServiceMaps, serviceId: number, group: Group): GroupView {
  const { clusterId, tier, weight, backendCount } = group;
  const backends = range(backendCount).flatMap((slot): BackendView[] => {
    const row = maps.backendSlots.get({ serviceId, clusterId, slot });
    const backend = row && maps.backends.get(row);
    if (row === undefined || backend === undefined) return [];
    const { text } = addressFromMapAddress(backend.address);
    const state = nameOfNumber(BackendState, backend.state);
    return [{ id: row.backendId, address: text, port: backend.port, state }];
  });
  return { clusterId, tier, weight, backends };
}

interface Row {
  readonly service: ServiceView;
  readonly group: GroupView | undefined;
}

/** A line a group; a service without one has a line as well. */
export function formatServices(services: readonly ServiceView[]): string {
  const rows = services.flatMap((service): Row[] =>
    service.groups.length === 0
      ? [{ service, group: undefined }]
      : service.groups.map((group) => ({ service, group })),
  );
  return formatTable(COLUMNS, rows);
}

const COLUMNS: readonly Column<Row>[] = [
  { header: "ID", align: "right", text: ({ service }) => String(service.id) },
  { header: "FRONTEND", text: ({ service }) => formatHostPort(service.address, service.port) },
  { header: "PROTOCOL", text: ({ service }) => service.protocol },
  { header: "AFFINITY", text: ({ service }) => formatAffinity(service) },
  { header: "CLUSTER", align: "right", text: ({ group }) => String(group?.clusterId ?? "-") },
  { header: "TIER", align: "right", text: ({ group }) => String(group?.tier ?? "-") },
  { header: "WEIGHT", align: "right", text: ({ group }) => String(group?.weight ?? "-") },
  { header: "BACKENDS", text: ({ group }) => formatBackends(group) },
];

function formatAffinity({ affinitySeconds }: ServiceView): string {
  return affinitySeconds === 0 ? "none" : `${affinitySeconds}s`;
}

function formatBackends(group: GroupView | undefined): string {
  if (group === undefined || group.backends.length === 0) return "-";
  return group.backends
    .map(({ address, port, state }) => {
      const text = formatHostPort(address, port);
      return state === "active" ? text : `${text} (${state})`;
    })
    .join(" ");
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
