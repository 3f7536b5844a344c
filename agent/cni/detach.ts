// DEL: takes everything back that ADD gave, in whatever state it is. Repeating it, and calling it
// for a container that was never added or whose namespace is gone, is success.
import { runCommand } from "../../mesh/core/child-process.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { pairOfRecord, type AddressBook, type AddressRecord } from "./address-book.ts";
import { detachPrograms, disconnectPod } from "./datapath.ts";
import type { CniEnvironment } from "./request.ts";
import { pairNames } from "./wiring.ts";

type PodInterface = Pick<CniEnvironment, "containerId" | "ifName">;

/** The addresses come last: as long as anything of the pod is there, nobody else gets them. */
export async function detachPod(
  { pod, book }: { readonly pod: PodInterface; readonly book: AddressBook },
  signal: AbortSignal,
): Promise<void> {
  await deletePair(pairNames(pod.containerId, pod.ifName).hostInterface, signal);
  const records = await recordsOfPod(book, pod);
  for (const record of records) {
    const { podMac } = pairOfRecord(record);
    disconnectPod(record.bpfRoot, { addresses: [record.address], podMac });
    // Whoever made it deletes it next, and has other uses for it until then.
    if (record.pair !== undefined) detachPrograms(record.pair.hostInterface);
  }
  for (const record of records) await book.giveBack(record);
  await book.clear(pod);
}

/** IPv4 first. */
export async function recordsOfPod(
  book: AddressBook,
  { containerId, ifName }: PodInterface,
): Promise<AddressRecord[]> {
  const records = await book.list();
  return records
    .filter((record) => record.containerId === containerId && record.ifName === ifName)
    .sort((a, b) => Number(a.address.includes(":")) - Number(b.address.includes(":")));
}

/** With it go its other end, its routes and its program. */
export async function deletePair(hostInterface: string, signal: AbortSignal): Promise<void> {
  const argv = ["ip", "link", "delete", "dev", hostInterface] as const;
  const { status, stderr } = await runCommand({ argv }, signal);
  if (status === 0 || stderr.includes("Cannot find device")) return;
  throw new MeshError("internal", `Cannot delete interface "${hostInterface}": ${stderr.trim()}`);
}
