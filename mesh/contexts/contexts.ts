// Contexts: the clusters that this machine's operator has access to, by name. One small JSON
// file a context under HOME/contexts; `mesh lab up` writes them for the lab's clusters.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseClusterName } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";

export type MeshContext = DirectoryContext | KubernetesContext;

interface AnyContext {
  readonly name: string;
  /** Path of the network namespace from which the cluster's endpoints are reachable, if not here. */
  readonly networkNamespace: string | undefined;
}

export interface DirectoryContext extends AnyContext {
  /** The cluster's directory (cluster-directory.ts). */
  readonly directory: string;
}

export interface KubernetesContext extends AnyContext {
  /** Path of a kubeconfig file. */
  readonly kubeconfig: string;
  /** The file's current context if undefined. */
  readonly kubeContext: string | undefined;
  /** Where Tombolo is installed; the usual namespace if undefined. */
  readonly namespace: string | undefined;
}

export function isKubernetesContext(context: MeshContext): context is KubernetesContext {
  return "kubeconfig" in context;
}

/** Throws `not_found` with the names there are, or `invalid_argument` for a broken file. */
export async function readContext(home: string, name: string): Promise<MeshContext> {
  const path = contextPath(home, parseClusterName(name));
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    const names = (await listContexts(home)).join(", ");
    throw new MeshError("not_found", `Cannot find context "${name}"`, {
      hint: names === "" ? "there is none yet; `mesh lab up` makes two" : `there are: ${names}`,
    });
  }
  return parseContext({ name, text, path });
}

export async function listContexts(home: string): Promise<string[]> {
  try {
    const files = await readdir(join(home, "contexts"));
    return files
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

export async function writeContext(home: string, context: MeshContext): Promise<void> {
  await mkdir(join(home, "contexts"), { recursive: true, mode: 0o700 });
  const { name, ...fields } = context;
  await writeFile(contextPath(home, name), `${JSON.stringify(fields, null, 2)}\n`, { mode: 0o600 });
}

export async function deleteContext(home: string, name: string): Promise<void> {
  await rm(contextPath(home, name), { force: true });
}

function parseContext(source: { name: string; text: string; path: string }): MeshContext {
  let fields: Record<string, unknown>;
  try {
    // "null" is JSON, too; it lacks the fields like any other wrong value.
    fields = (JSON.parse(source.text) ?? {}) as Record<string, unknown>;
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot parse context file "${source.path}" as JSON`, {
      cause,
    });
  }
  const { directory, kubeconfig, kubeContext, namespace, networkNamespace } = fields;
  const { name } = source;
  if (isOptionalText(networkNamespace)) {
    if (typeof directory === "string" && kubeconfig === undefined) {
      return { name, directory, networkNamespace };
    }
    const chosen = isOptionalText(kubeContext) && isOptionalText(namespace);
    if (typeof kubeconfig === "string" && directory === undefined && chosen) {
      return { name, kubeconfig, kubeContext, namespace, networkNamespace };
    }
  }
  throw new MeshError(
    "invalid_argument",
    `Cannot use context file "${source.path}": want {"directory": PATH, "networkNamespace"?: PATH} or {"kubeconfig": PATH, "kubeContext"?: NAME, "namespace"?: NAME, "networkNamespace"?: PATH}`,
  );
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

function contextPath(home: string, name: string): string {
  return join(home, "contexts", `${name}.json`);
}
