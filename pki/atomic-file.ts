// Writing files so that a reader, or a machine that loses power, sees the old content or the new
// and never a part: temporary file, fsync, rename, fsync of the directory.
import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Only the owner reads: private keys and everything beside them that must stay secret. */
export const SECRET_FILE_MODE = 0o600;
export const PUBLIC_FILE_MODE = 0o644;
/** Only the owner enters: even names of files with secrets are nobody else's business. */
export const SECRET_DIRECTORY_MODE = 0o700;

export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: { mode: number },
): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: SECRET_DIRECTORY_MODE });
  // A leading dot keeps directory watchers from taking the temporary file for content.
  const temporary = join(directory, `.${randomBytes(8).toString("hex")}.tmp`);
  try {
    // "wx": a file that is already there, or a planted link, is an error and never written to.
    const file = await open(temporary, "wx", options.mode);
    try {
      await file.writeFile(content);
      await file.chmod(options.mode); // The process's umask may have taken bits away.
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Makes renames and removals in a directory outlast a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
