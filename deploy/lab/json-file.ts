// The lab's small JSON files: for root only, and whole or not there.
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";

/** Many may write at once; one of them is what stays. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, { mode: SECRET_FILE_MODE });
}
