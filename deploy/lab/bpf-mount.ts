// Removes the lab's own bpf file system with every pin in it. The lab has one mount for all of its
// nodes, a directory each, so that nobody else's pins are near.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isBpffs, unmountBpffs } from "../../bpf/mounts.ts";

/** Pin by pin before the mount: another mount namespace may hold a copy of it. */
export async function removeBpffs(path: string, signal: AbortSignal): Promise<void> {
  while (isBpffs(path)) {
    // The kernel's own files at the top (maps.debug) cannot be removed and hold nothing.
    const entries = await readdir(path, { withFileTypes: true });
    const directories = entries.filter((entry) => entry.isDirectory());
    await Promise.all(
      directories.map(({ name }) => rm(join(path, name), { recursive: true, force: true })),
    );
    await unmountBpffs(path, signal);
  }
}
