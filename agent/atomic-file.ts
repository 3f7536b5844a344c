// Replaces a file as a whole: whoever reads it sees the old or the new one. What it holds can be
// made again, so nothing waits for the disk.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { MeshError } from "../mesh/core/errors.ts";

export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  { mode, directoryMode = 0o755 }: { readonly mode: number; readonly directoryMode?: number },
): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: directoryMode });
    await writeFile(temporary, content, { mode });
    await rename(temporary, path);
  } catch (cause) {
    throw new MeshError("unavailable", `Cannot write file "${path}"`, { cause });
  }
}
