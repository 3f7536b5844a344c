// What the `mesh bpf` commands share: which node's maps to open, and how addresses and names in
// them read. libbpf is loaded only when a command runs, so that `mesh` works where there is none.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { findLocalNode } from "../contexts/local-nodes.ts";
import { parseOutputFormat, type OutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { CommandContext } from "./command.ts";

export const BPF_USAGE = `  --node       a node of this machine's lab; not needed if there is only one
  --bpf-root   or the directory below which the node's maps are pinned
  --output     table (default) or json
`;

const FLAGS = {
  node: { type: "string" },
  "bpf-root": { type: "string" },
  output: { type: "string" },
} as const;

export interface BpfRequest {
  readonly bpfRoot: string;
  readonly format: OutputFormat;
}

export async function parseBpfRequest(
  args: readonly string[],
  { home, usage }: { readonly home: string; readonly usage: string },
): Promise<BpfRequest> {
  const { values, positionals } = parseArguments(args, { flags: FLAGS, usage });
  if (positionals.length > 0)
    throw usageError(`Cannot use "${positionals[0]}": name a node with --node`, usage);
  if (values.node !== undefined && values["bpf-root"] !== undefined)
    throw usageError("Cannot use --node with --bpf-root: each names the node", usage);
  const format = parseOutputFormat(values.output);
  const bpfRoot =
    values["bpf-root"] ??
    (await findLocalNode("bpfRoot", { home, node: values.node, instead: "--bpf-root PATH" }));
  return { bpfRoot, format };
}

/** Runs `work` with the node's maps open. */
export async function withNodeMaps<T>(
  { bpfRoot }: BpfRequest,
  work: (maps: DatapathMaps) => T,
): Promise<T> {
  const { openDatapathMaps } = await import("../../bpf/datapath.ts");
  using maps = openDatapathMaps(bpfRoot);
  return work(maps);
}

/** Reads the request, opens the maps, collects from them, prints the answer. */
export async function runBpfCommand<T>(
  args: readonly string[],
  options: {
    readonly context: CommandContext;
    readonly usage: string;
    readonly collect: (maps: DatapathMaps) => T;
    readonly print: (collected: T, format: OutputFormat) => string;
  },
): Promise<number> {
  const { context, usage, collect, print } = options;
  const request = await parseBpfRequest(args, { home: context.home, usage });
  const collected = await withNodeMaps(request, collect);
  context.stdout.write(print(collected, request.format));
  return 0;
}

/** `10.96.0.1:80` or `[fd00::1]:80` */
export function formatHostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The key under which an enum holds a number, or the number for one of a newer version. */
export function nameOfNumber(numbers: Readonly<Record<string, number>>, number: number): string {
  const found = Object.entries(numbers).find(([, value]) => value === number);
  return found?.[0] ?? String(number);
}
