// `mesh bpf ct`: the connections that a node's programs follow, as the kernel has them.
import { addressFromMapAddress } from "../../bpf/address.ts";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { ConnectionState, TrafficDirection } from "../../bpf/gen/layout.ts";
import type { Connection, ConnectionKey } from "../../bpf/gen/layout.ts";
import { formatJson, formatTable, type Column } from "../terminal.ts";
import { formatHostPort, BPF_USAGE, nameOfNumber, runBpfCommand } from "./bpf-node.ts";
import { formatProtocol } from "./bpf-policy.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh bpf ct [--node NAME | --bpf-root PATH] [--output table|json]

Shows the connections of a node's pods: both ends (the pod's first), who opened it, its state, which
rule allowed it under which revision of the pod's policy, and what passed each way. A connection
between two pods of the node stands here for each of them.

${BPF_USAGE}
Examples:
  mesh bpf ct --node east-node1
  mesh bpf ct --bpf-root /sys/fs/bpf/tombolo --output json
`;

export interface ConnectionView {
  readonly protocol: string;
  readonly local: string;
  readonly remote: string;
  /** "egress": the pod opened it. */
  readonly direction: string;
  readonly state: string;
  readonly remoteIdentity: number;
  readonly rule: number;
  readonly revision: number;
  readonly ifindex: number;
  readonly sentPackets: bigint;
  readonly sentBytes: bigint;
  readonly receivedPackets: bigint;
  readonly receivedBytes: bigint;
}

export const bpfCtCommand: Command = {
  name: "bpf ct",
  summary: "connections that a node's eBPF programs follow",
  usage: USAGE,
  run: (args, context) =>
    runBpfCommand(args, {
      context,
      usage: USAGE,
      collect: collectConnections,
      print: (rows, format) => (format === "json" ? formatJson(rows) : formatTable(COLUMNS, rows)),
    }),
};

/** By the pod's end, then the other one. */
export function collectConnections({
  connections,
}: {
  readonly connections: Pick<DatapathMaps["connections"], "entries">;
}): ConnectionView[] {
  return [...connections.entries()]
    .map(connectionView)
    .sort((a, b) => compare(a.local, b.local) || compare(a.remote, b.remote));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function connectionView([key, row]: readonly [ConnectionKey, Connection]): ConnectionView {
  const end = (address: Uint8Array, port: number): string =>
    formatHostPort(addressFromMapAddress(address).text, port);
  return {
    protocol: formatProtocol(key.protocol),
    local: end(key.local, key.localPort),
    remote: end(key.remote, key.remotePort),
    direction: nameOfNumber(TrafficDirection, row.direction),
    state: nameOfNumber(ConnectionState, row.state),
    remoteIdentity: row.remoteIdentity,
    rule: row.rule,
    revision: row.revision,
    ifindex: row.ifindex,
    sentPackets: row.sentPackets,
    sentBytes: row.sentBytes,
    receivedPackets: row.receivedPackets,
    receivedBytes: row.receivedBytes,
  };
}

const COLUMNS: readonly Column<ConnectionView>[] = [
  { header: "PROTOCOL", text: ({ protocol }) => protocol },
  { header: "LOCAL", text: ({ local }) => local },
  { header: "REMOTE", text: ({ remote }) => remote },
  { header: "OPENED", text: ({ direction }) => (direction === "egress" ? "by pod" : "by other") },
  { header: "STATE", text: ({ state }) => state },
  { header: "IDENTITY", align: "right", text: ({ remoteIdentity }) => String(remoteIdentity) },
  { header: "RULE", align: "right", text: ({ rule }) => String(rule) },
  { header: "REVISION", align: "right", text: ({ revision }) => String(revision) },
  { header: "SENT", align: "right", text: (row) => `${row.sentPackets}/${row.sentBytes}B` },
  { header: "RECEIVED", align: "right", text: (r) => `${r.receivedPackets}/${r.receivedBytes}B` },
];
