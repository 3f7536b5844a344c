// `mesh context list`: the clusters that this machine may operate, and whether their directories
// can be read. Looks at files only; whether a cluster runs is for `mesh status` to say.
import { readClusterProfile, type ClusterProfile } from "../contexts/cluster-directory.ts";
import { listContexts, readContext, type MeshContext } from "../contexts/contexts.ts";
import { messageFromError } from "../core/errors.ts";
import { formatJson, formatTable, parseOutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh context list [--output table|json]

A context is a cluster that this machine has access to. \`mesh lab up\` makes one for each of its
clusters; all other commands take a context's name where they want a cluster.

  --output FORMAT   table or json (table)

Example:
  mesh context list --output json
`;

/** One context; what could not be read is null, and `problem` says why. */
interface ContextRow {
  readonly name: string;
  readonly clusterId: number | null;
  readonly etcdEndpoints: readonly string[];
  readonly directory: string | null;
  readonly networkNamespace: string | null;
  readonly problem: string | null;
}

export const contextListCommand: Command = {
  name: "context list",
  summary: "list the clusters that this machine may operate",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, {
      usage: USAGE,
      flags: { output: { type: "string" } },
    });
    if (positionals.length > 0)
      throw usageError(`Cannot list context "${positionals[0]}": the list takes no names`, USAGE);
    const format = parseOutputFormat(values.output);
    const names = await listContexts(context.home);
    const rows = await Promise.all(names.map((name) => readRow(context.home, name)));
    context.stdout.write(format === "json" ? formatJson(rows) : formatRows(rows));
    if (rows.length === 0)
      context.stderr.write("mesh: there is no context yet; `mesh lab up` makes two\n");
    return 0;
  },
};

/** One broken context must not hide the others, so its error becomes a part of its row. */
async function readRow(home: string, name: string): Promise<ContextRow> {
  let place: MeshContext | undefined;
  let profile: ClusterProfile | undefined;
  let problem: string | null = null;
  try {
    place = await readContext(home, name);
    profile = await readClusterProfile(place.directory);
    if (profile.name !== name)
      problem = `the directory holds cluster "${profile.name}", want "${name}"`;
  } catch (error) {
    problem = messageFromError(error);
  }
  return {
    name,
    clusterId: profile?.id ?? null,
    etcdEndpoints: profile?.etcdEndpoints ?? [],
    directory: place?.directory ?? null,
    networkNamespace: place?.networkNamespace ?? null,
    problem,
  };
}

function formatRows(rows: readonly ContextRow[]): string {
  const text = (value: string | number | null): string => value?.toString() ?? "-";
  return formatTable(
    [
      { header: "CONTEXT", text: ({ name }) => name },
      { header: "ID", text: ({ clusterId }) => text(clusterId), align: "right" },
      { header: "DIRECTORY", text: ({ directory }) => text(directory) },
      { header: "NETWORK", text: ({ networkNamespace }) => networkNamespace ?? "this machine's" },
      { header: "PROBLEM", text: ({ problem }) => problem ?? "none" },
    ],
    rows,
  );
}
