// ADD: gives a pod its interface, addresses, routes and place in the datapath, all of it or none.
import { messageFromError, MeshError } from "../../mesh/core/errors.ts";
import type { AddressBook, AddressRecord } from "./address-book.ts";
import { connectPod, disconnectPod, type DatapathPod } from "./datapath.ts";
import { deletePair, recordsOfPod } from "./detach.ts";
import { runIp } from "./iproute.ts";
import type { CniNode } from "./node-file.ts";
import type { CniEnvironment } from "./request.ts";
import type { Attachment } from "./result.ts";
import { hostLines, pairNames, podLines } from "./wiring.ts";

export interface PodRequest {
  readonly pod: Omit<CniEnvironment, "netns"> & { readonly netns: string };
  readonly node: CniNode;
  readonly book: AddressBook;
}

/** Throws `already_exists`, `resource_exhausted`, or what failed; then nothing is left behind. */
export async function attachPod(request: PodRequest, signal: AbortSignal): Promise<Attachment> {
  const { pod, node, book } = request;
  if ((await recordsOfPod(book, pod)).length > 0) {
    throw new MeshError(
      "already_exists",
      `Cannot add interface "${pod.ifName}" to container "${pod.containerId}": it has it already`,
      { hint: "DEL comes before another ADD" },
    );
  }
  // What was done last is undone first.
  const undo: (() => Promise<void>)[] = [];
  try {
    const records = await takeAddresses(request, (record) => {
      undo.unshift(() => book.giveBack(record));
    });
    const attachment = attachmentFromRecords({ pod, node, records });
    await makePair(attachment, signal);
    undo.unshift(() => deletePair(attachment.hostInterface, signal));
    await runIp({ lines: podLines(attachment), namespace: pod.netns }, signal);
    undo.unshift(async () => {
      const addresses = records.map(({ address }) => address);
      disconnectPod(node.bpfRoot, { addresses, podMac: attachment.podMac });
    });
    connectPod(node.bpfRoot, datapathPodOf(attachment));
    return attachment;
  } catch (error) {
    // The first failure is the one to tell; the DEL that follows tries the rest again.
    for (const step of undo) await step().catch(() => undefined);
    throw error;
  }
}

/** What ADD has made, or CHECK should find, for these records. */
export function attachmentFromRecords(request: {
  readonly pod: PodRequest["pod"];
  readonly node: CniNode;
  readonly records: readonly AddressRecord[];
}): Attachment {
  const { pod, node, records } = request;
  return {
    ...pairNames(pod.containerId, pod.ifName),
    podInterface: pod.ifName,
    netns: pod.netns,
    mtu: node.mtu,
    addresses: records.map(({ address }) => {
      const family = address.includes(":") ? 6 : 4;
      const router = node.routerAddresses.find((candidate) => candidate.family === family);
      if (router === undefined) {
        throw new MeshError("data_loss", `Cannot route ${address}: the node has no such router`);
      }
      return { family, address, gateway: router.text };
    }),
  };
}

export function datapathPodOf(attachment: Attachment): DatapathPod {
  return { ...attachment, addresses: attachment.addresses.map(({ address }) => address) };
}

async function takeAddresses(
  { pod, node, book }: PodRequest,
  onTaken: (record: AddressRecord) => void,
): Promise<AddressRecord[]> {
  const { containerId, ifName, netns } = pod;
  const owner = { containerId, ifName, netns, pod: pod.pod, bpfRoot: node.bpfRoot };
  const records: AddressRecord[] = [];
  if (node.podPrefixes.length === 0) {
    throw new MeshError(
      "unsupported",
      `Cannot give pod an address: node "${node.nodeName}" has no pod prefix of ours`,
      { hint: "in mode `chained` our plugin stands behind the one that gives addresses" },
    );
  }
  for (const family of [4, 6]) {
    const prefixes = node.podPrefixes.filter((prefix) => prefix.family === family);
    if (prefixes.length === 0) continue;
    const record = await book.take({ prefixes, excluded: node.routerAddresses, owner });
    onTaken(record);
    records.push(record);
  }
  return records;
}

async function makePair(attachment: Attachment, signal: AbortSignal): Promise<void> {
  try {
    await runIp({ lines: hostLines(attachment) }, signal);
  } catch (error) {
    // Only making the pair can meet something that exists; then there is none of ours to remove.
    if (!messageFromError(error).includes("File exists")) {
      await deletePair(attachment.hostInterface, signal);
    }
    throw error;
  }
}
