// The address book of this node and boot: the same for the plugin, which keeps it, and the agent,
// which reads it.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openAddressBook, type AddressBook } from "./address-book.ts";

/** Below the state directory. */
export const ADDRESS_BOOK = "address-book";

export async function openNodeAddressBook(stateDirectory: string): Promise<AddressBook> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  return openAddressBook(join(stateDirectory, ADDRESS_BOOK), { bootId, uniqueName: randomUUID() });
}
