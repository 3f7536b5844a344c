// GC (CNI 1.1): takes back what containers have that the runtime does not know any more. It is a
// DEL for each of them; one that fails keeps none of the others from it.
import { messageFromError, MeshError } from "../../mesh/core/errors.ts";
import type { AddressBook, AddressRecord } from "./address-book.ts";
import { detachPod } from "./detach.ts";
import type { ValidAttachment } from "./request.ts";

/** Returns how many interfaces were given back. */
export async function collectGarbage(
  { book, valid }: { readonly book: AddressBook; readonly valid: readonly ValidAttachment[] },
  signal: AbortSignal,
): Promise<number> {
  const stale = staleAttachments(await book.list(), valid);
  const failures: string[] = [];
  for (const pod of stale) {
    try {
      await detachPod({ pod, book }, signal);
    } catch (error) {
      failures.push(`"${pod.containerId}": ${messageFromError(error)}`);
    }
  }
  if (failures.length === 0) return stale.length;
  throw new MeshError(
    "internal",
    `Cannot take back what ${failures.length} containers had\n${failures.join("\n")}`,
  );
}

/** Each once, however many addresses it has. */
export function staleAttachments(
  records: readonly Pick<AddressRecord, "containerId" | "ifName">[],
  valid: readonly ValidAttachment[],
): ValidAttachment[] {
  const key = ({ containerId, ifName }: ValidAttachment): string => `${containerId} ${ifName}`;
  const known = new Set(valid.map(key));
  const stale = new Map(
    records
      .filter((record) => !known.has(key(record)))
      .map(({ containerId, ifName }) => [key({ containerId, ifName }), { containerId, ifName }]),
  );
  return [...stale.values()];
}
