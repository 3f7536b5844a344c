// What makes one etcd tell itself from another: etcd derives its cluster id from this token. It
// belongs to the data: an etcd whose data is gone is another etcd, and readers must notice
// (DESIGN.md, "When a deletion is believed").
import { randomUUID } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import type { EmbeddedEtcdPaths } from "./arguments.ts";

/** The token of the data that is there, or a new one, kept from now on, where there is none. */
export async function clusterToken(
  paths: Pick<EmbeddedEtcdPaths, "data" | "clusterToken">,
): Promise<string> {
  if (await exists(join(paths.data, "member"))) {
    const kept = await readToken(paths.clusterToken);
    if (kept !== undefined) return kept;
  }
  const token = randomUUID();
  await writeFileAtomic(paths.clusterToken, `${token}\n`, { mode: SECRET_FILE_MODE });
  return token;
}

/** Undefined if it is not there: etcd only uses the token once, when it makes its data. */
async function readToken(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
