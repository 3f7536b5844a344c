// Which contexts the kubeconfig files of this machine's user name. Reads names only; what stands
// behind one is kubeconfig.ts's business.
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { MeshError } from "../core/errors.ts";

export interface KubeconfigContext {
  readonly name: string;
  /** The file it stands in. */
  readonly kubeconfig: string;
  /** `namespace` of the context is what kubectl uses; ours is Tombolo's, so it is not here. */
  readonly current: boolean;
}

/**
 * All contexts of the files, each name once: the first file that names one wins, as with kubectl.
 * Files that are not there are skipped. Throws `invalid_argument` for one that is broken.
 */
export async function listKubeconfigContexts(
  paths: readonly string[],
): Promise<KubeconfigContext[]> {
  const found = new Map<string, KubeconfigContext>();
  let current: string | undefined;
  for (const kubeconfig of paths) {
    const config = await readConfig(kubeconfig);
    current ??= config.current;
    for (const name of config.names) {
      if (!found.has(name)) found.set(name, { name, kubeconfig, current: false });
    }
  }
  return [...found.values()].map((item) => ({ ...item, current: item.name === current }));
}

/** `$KUBECONFIG`, which may name several files, or else the file in the home directory. */
export function kubeconfigPaths(environment: {
  readonly KUBECONFIG?: string | undefined;
  readonly HOME?: string | undefined;
}): string[] {
  const named = (environment.KUBECONFIG ?? "").split(":").filter((path) => path !== "");
  if (named.length > 0) return named;
  return environment.HOME === undefined ? [] : [`${environment.HOME}/.kube/config`];
}

async function readConfig(
  path: string,
): Promise<{ names: readonly string[]; current: string | undefined }> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT")
      return { names: [], current: undefined };
    throw new MeshError("not_found", `Cannot read kubeconfig "${path}"`, { cause });
  }
  let config: unknown;
  try {
    config = parse(text);
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot parse kubeconfig "${path}" as YAML`, { cause });
  }
  const fields = (config ?? {}) as Record<string, unknown>;
  const contexts: unknown = fields["contexts"];
  const names = (Array.isArray(contexts) ? contexts : []).flatMap((item: unknown) => {
    const name = (item as Record<string, unknown> | null)?.["name"];
    return typeof name === "string" ? [name] : [];
  });
  const current = fields["current-context"];
  return { names, current: typeof current === "string" && current !== "" ? current : undefined };
}
