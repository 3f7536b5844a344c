// The nodes that run on this machine, by name: one small JSON file a node under HOME/nodes, which
// whoever starts an agent writes (the lab does). Commands that look at a node find it here.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../core/errors.ts";

/** What a node's file may name. */
export type LocalNodeField = "socket" | "bpfRoot";

/**
 * The path that the node's file names. Without a name, the only node there is. Throws
 * `invalid_argument` when a name is needed, `not_found` for an unknown one, both with the names.
 */
export async function findLocalNode(
  field: LocalNodeField,
  options: {
    readonly home: string;
    readonly node: string | undefined;
    /** The flag that can be given instead. */
    readonly instead: string;
  },
): Promise<string> {
  const { home, node, instead } = options;
  const directory = join(home, "nodes");
  const names = await listNodes(directory);
  const name = node ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined || !names.includes(name)) {
    const known =
      names.length === 0 ? "`mesh lab up` makes some" : `there are: ${names.join(", ")}`;
    throw node === undefined
      ? new MeshError("invalid_argument", `Cannot choose a node: want --node NAME or ${instead}`, {
          hint: known,
        })
      : new MeshError("not_found", `Cannot find node "${node}": it is none of this machine's`, {
          hint: known,
        });
  }
  const path = join(directory, `${name}.json`);
  const fields = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  const value = fields[field];
  if (typeof value === "string") return value;
  throw new MeshError("data_loss", `Cannot read "${path}": it names no ${field}`);
}

/** Every node of this machine that names such a path, by name. */
export async function listLocalNodes(
  field: LocalNodeField,
  { home }: { readonly home: string },
): Promise<{ readonly node: string; readonly path: string }[]> {
  const names = await listNodes(join(home, "nodes"));
  return Promise.all(
    names.map(async (node) => ({
      node,
      path: await findLocalNode(field, { home, node, instead: "" }),
    })),
  );
}

async function listNodes(directory: string): Promise<string[]> {
  try {
    const files = await readdir(directory);
    return files
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
