// The allocator's state in a file, so that numbers stay what they are when etcd was emptied.
// etcd is the first source at start; this file fills in what etcd does not know.
import { readFile } from "node:fs/promises";
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import type { AllocatorState, IdentityAllocator } from "./allocator.ts";

/** Several changes in this time cost one write. */
const COALESCE_MS = 200;
/** How often idle numbers are looked through; small against the grace period. */
const COLLECT_MS = 60_000;

/** Undefined if there is no snapshot; throws `data_loss` for one that cannot be read. */
export async function readIdentitySnapshot(path: string): Promise<AllocatorState | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return parseIdentitySnapshot(text, path);
}

/** `path` only appears in messages. */
export function parseIdentitySnapshot(text: string, path: string): AllocatorState {
  try {
    const state = JSON.parse(text) as AllocatorState;
    const sound =
      Number.isInteger(state.next) &&
      state.identities.every(
        ({ number, labels }) =>
          Number.isInteger(number) &&
          Array.isArray(labels) &&
          labels.every((label) => typeof label === "string"),
      ) &&
      state.retired.every(({ number, atMs }) => Number.isInteger(number) && atMs >= 0);
    if (sound) return state;
  } catch {
    // Told below, as for JSON of another shape.
  }
  throw new MeshError("data_loss", `Cannot read identity snapshot "${path}": it is not one`, {
    hint: "move it away to start from what etcd knows",
  });
}

/** Writes the snapshot after every change and retires idle identities. Resolves on abort. */
export async function runIdentitySnapshot(
  options: { path: string; allocator: IdentityAllocator; clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const { path, allocator, clock } = options;
  const collecting = (async () => {
    while (!signal.aborted) {
      await clock.sleep(COLLECT_MS, signal);
      allocator.collect();
    }
  })().catch(() => {}); // Only the sleep can reject, and only because everything ends.
  for await (const _ of allocator.table.changes(signal)) {
    const text = `${JSON.stringify(allocator.state())}\n`;
    await writeFileAtomic(path, text, { mode: SECRET_FILE_MODE });
    await clock.sleep(COALESCE_MS, signal).catch(() => {}); // The loop's own check ends it.
  }
  await collecting;
}
