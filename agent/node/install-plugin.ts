// Puts the plugin on the node: the image's self-contained copy into a directory of its own name,
// then, in one step, the script by which runtimes call it. What is called meanwhile, and whoever
// began with the version before, finds all of its files.
//
//   HOST_ROOT/VERSION-HASH/bin/tombolo-cni    the copy; never changed once it is there
//   BINARY_DIRECTORY/tombolo-cni              exec HOST_ROOT_ON_HOST/VERSION-HASH/bin/tombolo-cni
import { createHash } from "node:crypto";
import { cp, lstat, mkdir, readdir, readFile, readlink, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { replaceFile } from "../atomic-file.ts";
import type { CniSettings } from "../config.ts";
import { PLUGIN_NAME } from "./conflist.ts";

export interface InstallPluginOptions {
  /** The image's self-contained copy. */
  readonly source: string;
  readonly version: string;
  readonly cni: Pick<CniSettings, "binaryDirectory" | "hostRoot" | "hostRootOnHost">;
  readonly log: Logger;
}

/** Begins the names of directories that are being made or thrown away. */
const UNFINISHED = ".tombolo-";
const HASH_CHARACTERS = 12;

/** Returns the name of the version that is called from now on. Repeating it changes nothing. */
export async function installPlugin(options: InstallPluginOptions): Promise<string> {
  const { source, version, cni, log } = options;
  const program = join("bin", PLUGIN_NAME);
  await requireProgram(join(source, program));
  const hash = await hashTree(source);
  const name = `${version}-${hash.slice(0, HASH_CHARACTERS)}`;
  const target = join(cni.hostRoot, name);
  await mkdir(cni.hostRoot, { recursive: true, mode: 0o755 });
  if ((await hashTreeOrMissing(target)) === hash) {
    log.info("The plugin is on the node already", { target });
  } else {
    const copy = join(cni.hostRoot, `${UNFINISHED}${name}`);
    await rm(copy, { recursive: true, force: true });
    await cp(source, copy, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    // Damaged, or from a copy that a crash of the node has cut short.
    await rm(target, { recursive: true, force: true });
    await rename(copy, target);
    log.info("The plugin is on the node", { target });
  }
  const script = join(cni.binaryDirectory, PLUGIN_NAME);
  const before = await calledVersion(script);
  await replaceFile(script, encodeScript(join(cni.hostRootOnHost, name, program)), { mode: 0o755 });
  // The version before may be running; it goes with the next installation.
  await removeOthers(cni.hostRoot, { keep: new Set([name, before]), log });
  return name;
}

/** Removes what installPlugin has made. Success if nothing is there. */
export async function uninstallPlugin({
  binaryDirectory,
  hostRoot,
}: Pick<CniSettings, "binaryDirectory" | "hostRoot">): Promise<void> {
  await rm(join(binaryDirectory, PLUGIN_NAME), { force: true });
  for (const name of await listOrMissing(hostRoot)) {
    await rm(join(hostRoot, name), { recursive: true, force: true });
  }
}

export function encodeScript(program: string): string {
  return [
    "#!/bin/sh",
    "# Tombolo's CNI plugin. Written by the agent's init container; changes are lost.",
    `exec "${program}" "$@"`,
    "",
  ].join("\n");
}

/** The name of the version that the script calls. */
async function calledVersion(script: string): Promise<string | undefined> {
  try {
    const text = await readFile(script, "utf8");
    return /^exec ".*\/([^/]+)\/bin\/[^/]+"/m.exec(text)?.[1];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function removeOthers(
  hostRoot: string,
  { keep, log }: { keep: ReadonlySet<string | undefined>; log: Logger },
): Promise<void> {
  for (const name of await readdir(hostRoot)) {
    if (keep.has(name)) continue;
    await rm(join(hostRoot, name), { recursive: true, force: true });
    log.info("An older version of the plugin is removed", { name });
  }
}

async function requireProgram(path: string): Promise<void> {
  try {
    await lstat(path);
  } catch (cause) {
    throw new MeshError("not_found", `Cannot install the plugin: there is no "${path}"`, {
      cause,
      hint: "the image holds it; this command is the init container's",
    });
  }
}

async function hashTreeOrMissing(path: string): Promise<string | undefined> {
  try {
    return await hashTree(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Of names, modes and contents; times and owners do not count. */
async function hashTree(root: string): Promise<string> {
  const hash = createHash("sha256");
  const visit = async (path: string): Promise<void> => {
    for (const name of (await readdir(join(root, path))).sort()) {
      const relative = join(path, name);
      const full = join(root, relative);
      const stat = await lstat(full);
      const kind = stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "link" : "file";
      hash.update(`${relative}\0${kind}\0${stat.mode & 0o111}\0`);
      if (kind === "directory") await visit(relative);
      else if (kind === "link") hash.update(await readlink(full));
      else
        hash.update(
          createHash("sha256")
            .update(await readFile(full))
            .digest(),
        );
    }
  };
  await visit("");
  return hash.digest("hex");
}

async function listOrMissing(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
