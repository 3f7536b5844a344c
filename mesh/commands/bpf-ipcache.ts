// `mesh bpf ipcache`: whom a node takes an address for, and where it sends packets to it.
import { addressFromMapAddress, isNoAddress, prefixFromIpcacheKey } from "../../bpf/address.ts";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { reservedIdentityName } from "../core/identity.ts";
import { formatJson, formatTable, type Column } from "../terminal.ts";
import { BPF_USAGE, runBpfCommand } from "./bpf-node.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh bpf ipcache [--node NAME | --bpf-root PATH] [--output table|json]

Shows the prefixes in a node's eBPF maps with the security identity behind each, its cluster, and
the node to which packets are tunnelled ("-": this node, or reached without a tunnel). The longest
prefix wins.

${BPF_USAGE}
Examples:
  mesh bpf ipcache --node east-node1
  mesh bpf ipcache --bpf-root /sys/fs/bpf/tombolo --output json
`;

export interface IpcacheView {
  readonly prefix: string;
  readonly identity: number;
  readonly clusterId: number;
  /** null for what is reached without a tunnel. */
  readonly tunnelEndpoint: string | null;
  readonly encryptionKey: number;
}

export const bpfIpcacheCommand: Command = {
  name: "bpf ipcache",
  summary: "addresses, identities and tunnel endpoints in a node's eBPF maps",
  usage: USAGE,
  run: (args, context) =>
    runBpfCommand(args, {
      context,
      usage: USAGE,
      collect: collectIpcache,
      print: (rows, format) => (format === "json" ? formatJson(rows) : formatTable(COLUMNS, rows)),
    }),
};

/** IPv4 before IPv6, then by address, wider prefixes first. */
export function collectIpcache({ ipcache }: Pick<DatapathMaps, "ipcache">): IpcacheView[] {
  return [...ipcache.entries()]
    .map(([key, entry]) => ({ key, entry, prefix: prefixFromIpcacheKey(key) }))
    .sort(
      (a, b) =>
        a.prefix.family - b.prefix.family ||
        Buffer.compare(a.prefix.bytes, b.prefix.bytes) ||
        a.prefix.length - b.prefix.length,
    )
    .map(({ entry, prefix }) => ({
      prefix: prefix.text,
      identity: entry.identity,
      clusterId: entry.clusterId,
      tunnelEndpoint: isNoAddress(entry.tunnelEndpoint)
        ? null
        : addressFromMapAddress(entry.tunnelEndpoint).text,
      encryptionKey: entry.encryptionKey,
    }));
}

const COLUMNS: readonly Column<IpcacheView>[] = [
  { header: "PREFIX", text: ({ prefix }) => prefix },
  { header: "IDENTITY", text: ({ identity }) => formatIdentity(identity) },
  { header: "CLUSTER", align: "right", text: ({ clusterId }) => String(clusterId) },
  { header: "TUNNEL ENDPOINT", text: ({ tunnelEndpoint }) => tunnelEndpoint ?? "-" },
];

function formatIdentity(identity: number): string {
  const name = reservedIdentityName(identity);
  return name === undefined ? String(identity) : `${identity} (${name})`;
}
