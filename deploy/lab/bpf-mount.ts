// The lab's own bpf file system, one directory a node below it. Its own mount, so that removing
// the lab removes every pin and touches nobody else's.
import { mkdir, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { commandOutput } from "../../mesh/core/child-process.ts";

/** From linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;

export async function mountBpf(path: string, signal: AbortSignal): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (await isBpfMounted(path)) return;
  await commandOutput({ argv: ["mount", "-t", "bpf", "-o", "mode=0700", "bpf", path] }, signal);
}

/** Removes the pins one by one first: another mount namespace may hold a copy of the mount. */
export async function unmountBpf(path: string, signal: AbortSignal): Promise<void> {
  while (await isBpfMounted(path)) {
    // The kernel's own files at the top (maps.debug) cannot be removed and hold nothing.
    const entries = await readdir(path, { withFileTypes: true });
    const directories = entries.filter((entry) => entry.isDirectory());
    await Promise.all(
      directories.map(({ name }) => rm(join(path, name), { recursive: true, force: true })),
    );
    await commandOutput({ argv: ["umount", path] }, signal);
  }
}

export async function isBpfMounted(path: string): Promise<boolean> {
  try {
    return (await statfs(path)).type === BPF_FS_MAGIC;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
