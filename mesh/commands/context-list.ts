// `mesh context list`: the clusters that this machine may operate, through directories and through
// Kubernetes APIs, and whether the directories can be read. Looks at files only; whether a cluster
// runs is for `mesh status` to say.
import { readClusterProfile, type ClusterProfile } from "../contexts/cluster-directory.ts";
import {
  isKubernetesContext,
  listContexts,
  readContext,
  type DirectoryContext,
  type KubernetesContext,
} from "../contexts/contexts.ts";
import { messageFromError } from "../core/errors.ts";
import {
  listKubeconfigContexts,
  type KubeconfigContext,
} from "../kubernetes/kubeconfig-contexts.ts";
import { formatJson, formatTable, parseOutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";

const USAGE = `Usage: mesh context list [--kubeconfig FILE] [--output table|json]

A context is a cluster that this machine has access to: through its directory, or through its
Kubernetes API. \`mesh lab up\` makes one for each of its clusters, and every context of the
kubeconfig is one. All other commands take a context's name where they want a cluster.

  --kubeconfig FILE  file with further contexts ($KUBECONFIG, or ~/.kube/config)
  --output FORMAT    table or json (table)

Example:
  mesh context list --output json
`;

/** One context; what is not known without asking the cluster is null, as is what was not read. */
interface ContextRow {
  readonly name: string;
  readonly kind: "directory" | "kubernetes";
  readonly clusterId: number | null;
  readonly etcdEndpoints: readonly string[];
  readonly directory: string | null;
  readonly kubeconfig: string | null;
  readonly kubeContext: string | null;
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
      flags: { kubeconfig: { type: "string" }, output: { type: "string" } },
    });
    if (positionals.length > 0)
      throw usageError(`Cannot list context "${positionals[0]}": the list takes no names`, USAGE);
    const format = parseOutputFormat(values.output);
    const names = await listContexts(context.home);
    const own = await Promise.all(names.map((name) => readRow(context.home, name)));
    const files = values.kubeconfig === undefined ? context.kubeconfigs : [values.kubeconfig];
    const others = await listKubeconfigContexts(files);
    const rows = [
      ...own,
      // A name that this machine has a file for means that one.
      ...others.filter(({ name }) => !names.includes(name)).map(rowOfKubeconfig),
    ];
    context.stdout.write(format === "json" ? formatJson(rows) : formatRows(rows));
    if (rows.length === 0)
      context.stderr.write("mesh: there is no context yet; `mesh lab up` makes two\n");
    return 0;
  },
};

/** One broken context must not hide the others, so its error becomes a part of its row. */
async function readRow(home: string, name: string): Promise<ContextRow> {
  let place: DirectoryContext | undefined;
  let profile: ClusterProfile | undefined;
  let problem: string | null = null;
  try {
    const found = await readContext(home, name);
    if (isKubernetesContext(found)) return kubernetesRow(found);
    place = found;
    profile = await readClusterProfile(place.directory);
    if (profile.name !== name)
      problem = `the directory holds cluster "${profile.name}", want "${name}"`;
  } catch (error) {
    problem = messageFromError(error);
  }
  return {
    name,
    kind: "directory",
    clusterId: profile?.id ?? null,
    etcdEndpoints: profile?.etcdEndpoints ?? [],
    directory: place?.directory ?? null,
    kubeconfig: null,
    kubeContext: null,
    networkNamespace: place?.networkNamespace ?? null,
    problem,
  };
}

function rowOfKubeconfig({ name, kubeconfig }: KubeconfigContext): ContextRow {
  const networkNamespace = undefined;
  return kubernetesRow({ name, kubeconfig, kubeContext: name, networkNamespace });
}

function kubernetesRow(place: Omit<KubernetesContext, "namespace">): ContextRow {
  return {
    name: place.name,
    kind: "kubernetes",
    clusterId: null,
    etcdEndpoints: [],
    directory: null,
    kubeconfig: place.kubeconfig,
    kubeContext: place.kubeContext ?? null,
    networkNamespace: place.networkNamespace ?? null,
    problem: null,
  };
}

function formatRows(rows: readonly ContextRow[]): string {
  const text = (value: string | number | null): string => value?.toString() ?? "-";
  return formatTable(
    [
      { header: "CONTEXT", text: ({ name }) => name },
      { header: "ID", text: ({ clusterId }) => text(clusterId), align: "right" },
      { header: "KIND", text: ({ kind }) => kind },
      { header: "WHERE", text: ({ directory, kubeconfig }) => text(directory ?? kubeconfig) },
      { header: "NETWORK", text: ({ networkNamespace }) => networkNamespace ?? "this machine's" },
      { header: "PROBLEM", text: ({ problem }) => problem ?? "none" },
    ],
    rows,
  );
}
