// The last good text of every manifest file, kept beside the cluster's sockets, so that a broken
// file keeps its last good state in force over a restart too.
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../../pki/atomic-file.ts";

export interface LastGood {
  /** Undefined if there never was a good version. */
  read(file: string): Promise<string | undefined>;
  write(file: string, text: string): Promise<void>;
  remove(file: string): Promise<void>;
  files(): Promise<string[]>;
}

export function createLastGood(directory: string): LastGood {
  return {
    read: (file) => readIfThere(join(directory, file)),
    async write(file, text) {
      const path = join(directory, file);
      if ((await readIfThere(path)) === text) return;
      await writeFileAtomic(path, text, { mode: SECRET_FILE_MODE });
    },
    remove: (file) => rm(join(directory, file), { force: true }),
    async files() {
      const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return [];
        throw error;
      });
      return names.filter((name) => !name.startsWith("."));
    },
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
