// The address book of this node and boot: the same for the plugin, which keeps it, and the agent,
// which reads it.
import { randomUUID } from "node:crypto";
import { readFile, watch } from "node:fs/promises";
import { join } from "node:path";
import { openAddressBook, type AddressBook } from "./address-book.ts";

/** Below the state directory. */
export const ADDRESS_BOOK = "address-book";

export async function openNodeAddressBook(stateDirectory: string): Promise<AddressBook> {
  const bootId = await readBootId();
  return openAddressBook(join(stateDirectory, ADDRESS_BOOK), { bootId, uniqueName: randomUUID() });
}

/**
 * Yields when addresses have been taken; what is given back is not told. The book must have been
 * opened. Ends, or rejects, when the signal aborts.
 */
export async function* watchNodeAddressBook(
  stateDirectory: string,
  signal: AbortSignal,
): AsyncIterable<unknown> {
  yield* watch(join(stateDirectory, ADDRESS_BOOK, await readBootId()), { signal });
}

async function readBootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
