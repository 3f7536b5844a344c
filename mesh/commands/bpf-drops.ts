// `mesh bpf drops`: what a node's programs have refused, by reason, and what they have done.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { formatJson, formatTable, type Column } from "../terminal.ts";
import { BPF_USAGE, runBpfCommand } from "./bpf-node.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh bpf drops [--node NAME | --bpf-root PATH] [--output table|json]

Shows how many packets and connections a node's eBPF programs have refused, by reason, and what
they have counted besides, since the maps were made.

${BPF_USAGE}
Examples:
  mesh bpf drops --node east-node1
  mesh bpf drops --bpf-root /sys/fs/bpf/tombolo --output json
`;

export interface CountView {
  readonly kind: "drop" | "event";
  readonly name: string;
  readonly count: bigint;
}

export const bpfDropsCommand: Command = {
  name: "bpf drops",
  summary: "packets and connections that a node's eBPF programs refused, by reason",
  usage: USAGE,
  run: (args, context) =>
    runBpfCommand(args, {
      context,
      usage: USAGE,
      collect: collectCounts,
      print: (rows, format) => (format === "json" ? formatJson(rows) : formatTable(COLUMNS, rows)),
    }),
};

/** Drops first. The number for "no reason" is no count. */
export function collectCounts({
  drops,
  counters,
}: {
  readonly drops: Pick<DatapathMaps["drops"], "read">;
  readonly counters: Pick<DatapathMaps["counters"], "read">;
}): CountView[] {
  const views = (kind: CountView["kind"], counts: ReadonlyMap<string, bigint>): CountView[] =>
    [...counts]
      .filter(([name]) => name !== "none")
      .map(([name, count]) => ({ kind, name: kebabCase(name), count }));
  return [...views("drop", drops.read()), ...views("event", counters.read())];
}

const COLUMNS: readonly Column<CountView>[] = [
  { header: "KIND", text: ({ kind }) => kind },
  { header: "NAME", text: ({ name }) => name },
  { header: "COUNT", align: "right", text: ({ count }) => count.toString() },
];

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
