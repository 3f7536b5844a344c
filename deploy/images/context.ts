// The build context of the image: which files of the work tree go in, under which names, and the
// hash that names the image they make. Listing and hashing read only; staging writes copies.
import { createHash } from "node:crypto";
import { copyFile, chmod, lstat, mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { throwIfAborted } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { isNeededInPackage, productionPackages } from "./production-packages.ts";

export type ContextEntry =
  | {
      readonly kind: "file";
      /** Where it stands in the context, with "/". */
      readonly path: string;
      /** Where it stands on this machine. */
      readonly source: string;
      readonly mode: 0o644 | 0o755;
    }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** Folders of the app and which of their files; prose stays behind. */
const APP_FOLDERS: readonly { readonly folder: string; readonly files: RegExp }[] = [
  { folder: "mesh", files: /(?<!\.md)$/ },
  { folder: "apiserver", files: /(?<!\.md)$/ },
  { folder: "agent", files: /(?<!\.md)$/ },
  { folder: "pki", files: /(?<!\.md)$/ },
  { folder: "bpf", files: /\.ts$/ },
  { folder: "build/bpf", files: /\.o$/ },
  // `mesh lab` is part of the command line; what stands beside it only runs in a work tree.
  { folder: "deploy", files: /^(?!(setup|docs|tour)\/|start\.ts$).*\.ts$/ },
];
const APP_FILES = ["package.json", "LICENSE"];
/** What the Dockerfile uses, below deploy/images. */
const RECIPE_FILES = ["apt-packages.txt", "install-packages.sh", "host-closure.sh"];
const RECIPE_FOLDERS = ["bin", "host"];
/** Files that are open at a time. */
const FILES_AT_ONCE = 32;
/** Licence of the runtime that the package "node" brings, in the package that it installs. */
const NODE_LICENCE = /^node_modules\/node\/node_modules\/node-[a-z0-9-]+\/LICENSE$/;

/** Everything that goes into the image, in order. Throws `not_found` for what is not built yet. */
export async function listContext(root: string, signal: AbortSignal): Promise<ContextEntry[]> {
  const entries: ContextEntry[] = [];
  const add = async (path: string, from: string): Promise<void> => {
    const { mode } = await lstat(join(root, from));
    entries.push({
      kind: "file",
      path,
      source: join(root, from),
      mode: (mode & 0o100) === 0 ? 0o644 : 0o755,
    });
  };
  await requireBuilt(root);
  for (const { folder, files } of APP_FOLDERS) {
    for (const path of await listFiles(join(root, folder))) {
      if (files.test(path)) await add(`app/${folder}/${path}`, `${folder}/${path}`);
    }
    throwIfAborted(signal);
  }
  for (const path of APP_FILES) await add(`app/${path}`, path);
  for (const path of await listPackageFiles(root)) await add(`app/${path}`, path);
  entries.push({ kind: "link", path: "app/node_modules/.bin/node", target: "../node/bin/node" });
  await add("Dockerfile", "deploy/images/Dockerfile");
  for (const path of RECIPE_FILES) await add(`image/${path}`, `deploy/images/${path}`);
  for (const folder of RECIPE_FOLDERS) {
    for (const path of await listFiles(join(root, "deploy/images", folder))) {
      await add(`image/${folder}/${path}`, `deploy/images/${folder}/${path}`);
    }
  }
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Names, modes and contents, and what else decides the result, as hexadecimal digits. */
export async function hashContext(
  entries: readonly ContextEntry[],
  { recipe, signal }: { readonly recipe: readonly string[]; readonly signal: AbortSignal },
): Promise<string> {
  const hash = createHash("sha256");
  for (const text of recipe) hash.update(`${text.length} ${text}\n`);
  for (let i = 0; i < entries.length; i += FILES_AT_ONCE) {
    throwIfAborted(signal);
    const lines = await Promise.all(entries.slice(i, i + FILES_AT_ONCE).map(describe));
    hash.update(lines.join(""));
  }
  return hash.digest("hex");
}

async function describe(entry: ContextEntry): Promise<string> {
  if (entry.kind === "link") return `${entry.path} -> ${entry.target}\n`;
  // Whole in memory: thousands of small files, and one of a hundred megabytes.
  const content = createHash("sha256").update(await readFile(entry.source));
  return `${entry.path} ${entry.mode.toString(8)} ${content.digest("hex")}\n`;
}

/** Copies the context to a directory that is made. */
export async function stageContext(
  entries: readonly ContextEntry[],
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  for (const entry of entries) {
    throwIfAborted(signal);
    const path = join(directory, entry.path);
    await mkdir(dirname(path), { recursive: true });
    if (entry.kind === "link") {
      await symlink(entry.target, path);
    } else {
      await copyFile(entry.source, path);
      await chmod(path, entry.mode);
    }
  }
}

async function listPackageFiles(root: string): Promise<string[]> {
  const packages = productionPackages(await readFile(join(root, "package-lock.json"), "utf8"));
  const found: string[] = [];
  for (const folder of packages) {
    // What the lock names for other machines is not installed on this one.
    const files = await listFiles(join(root, folder));
    found.push(...files.filter(isNeededInPackage).map((path) => `${folder}/${path}`));
    if (folder === "node_modules/node") {
      found.push(...files.map((p) => `${folder}/${p}`).filter((p) => NODE_LICENCE.test(p)));
    }
  }
  return found;
}

async function requireBuilt(root: string): Promise<void> {
  const objects = (await listFiles(join(root, "build/bpf"))).filter((path) => path.endsWith(".o"));
  const node = await listFiles(join(root, "node_modules/node/bin"));
  if (objects.length > 0 && node.length > 0) return;
  const missing = objects.length === 0 ? "the eBPF programs" : "the project's packages";
  throw new MeshError("not_found", `Cannot stage the image: ${missing} are not there`, {
    hint: "`npm run build` installs and builds them",
  });
}

/** Paths of all files below a directory, with "/"; none if it is missing. */
async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    },
  );
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}
