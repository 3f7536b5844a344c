// From a name on the command line to a context: the ones that this machine has files for come
// first, then those of the kubeconfig. Also into the network namespace that it names.
import { parseArgs } from "node:util";
import {
  isKubernetesContext,
  listContexts,
  readContext,
  type MeshContext,
} from "../contexts/contexts.ts";
import { MeshError } from "../core/errors.ts";
import {
  listKubeconfigContexts,
  type KubeconfigContext,
} from "../kubernetes/kubeconfig-contexts.ts";
import type { CommandContext } from "./command.ts";

export const CONTEXT_FLAGS = {
  kubeconfig: { type: "string" },
  namespace: { type: "string" },
} as const;

/** Part of the commands' usage. */
export const CONTEXT_HELP = `  --kubeconfig   file that names contexts besides this machine's own ($KUBECONFIG, ~/.kube/config)
  --namespace    where Tombolo lives in Kubernetes clusters (tombolo-system)
`;

export interface ContextWish {
  readonly name: string;
  readonly kubeconfig?: string | undefined;
  /** Stands above the namespace of the context's own file. */
  readonly namespace?: string | undefined;
}

/** Throws `not_found` with all names there are. */
export async function findContext(
  wish: ContextWish,
  { home, kubeconfigs }: Pick<CommandContext, "home" | "kubeconfigs">,
): Promise<MeshContext> {
  const { name, kubeconfig, namespace } = wish;
  const own = await listContexts(home);
  if (own.includes(name)) {
    const context = await readContext(home, name);
    if (!isKubernetesContext(context) || namespace === undefined) return context;
    return { ...context, namespace };
  }
  const files = kubeconfig === undefined ? kubeconfigs : [kubeconfig];
  const others = await listKubeconfigContexts(files);
  const found = others.find((other) => other.name === name);
  if (found !== undefined) return contextFromKubeconfig(found, namespace);
  throw new MeshError("not_found", `Cannot find context "${name}"`, {
    hint: describeNames(own, others),
  });
}

/** Of this machine's own contexts. Throws `invalid_argument` unless there is exactly one. */
export async function onlyContext({ home }: Pick<CommandContext, "home">): Promise<string> {
  const names = await listContexts(home);
  const [name, ...more] = names;
  if (name !== undefined && more.length === 0) return name;
  throw new MeshError("invalid_argument", "Cannot choose a context: want --context NAME", {
    hint: name === undefined ? "there is none yet" : `there are: ${names.join(", ")}`,
  });
}

export function contextFromKubeconfig(
  { name, kubeconfig }: KubeconfigContext,
  namespace?: string,
): MeshContext {
  return { name, kubeconfig, kubeContext: name, namespace, networkNamespace: undefined };
}

/** The words without those flags, and what the flags said. */
export function takeFlags<const Name extends string>(
  args: readonly string[],
  names: readonly Name[],
): { readonly rest: readonly string[]; readonly values: Partial<Record<Name, string>> } {
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const taken = new Set<number>();
  const values: Partial<Record<Name, string>> = {};
  for (const token of tokens) {
    if (token.kind !== "option" || token.value === undefined) continue;
    const name = names.find((known) => known === token.name);
    if (name === undefined) continue;
    values[name] = token.value;
    taken.add(token.index);
    if (token.inlineValue !== true) taken.add(token.index + 1);
  }
  return { rest: args.filter((_, index) => !taken.has(index)), values };
}

function describeNames(own: readonly string[], others: readonly KubeconfigContext[]): string {
  if (own.length === 0 && others.length === 0) {
    return "there is none yet; `mesh lab up` makes two, and no kubeconfig names one";
  }
  const named = others.map(({ name }) => name).join(", ");
  if (others.length === 0) return `there are: ${own.join(", ")}`;
  if (own.length === 0) return `the kubeconfig has: ${named}`;
  return `there are: ${own.join(", ")}; the kubeconfig has: ${named}`;
}
