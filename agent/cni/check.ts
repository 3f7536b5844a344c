// CHECK: looks whether a pod still has all that ADD gave it, and names everything that is not so.
import { missingPodPrograms } from "../../bpf/datapath.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";
import { isMeshError, messageFromError, MeshError } from "../../mesh/core/errors.ts";
import { pairOfRecord, type AddressRecord } from "./address-book.ts";
import { attachmentFromRecords, datapathPodOf, type PodRequest } from "./attach.ts";
import { findForeignPod, type ForeignPod } from "./chain.ts";
import { findDatapathFaults, type DatapathPod } from "./datapath.ts";
import { recordsOfPod } from "./detach.ts";
import { queryIp } from "./iproute.ts";
import { isRecord } from "./request.ts";
import type { Attachment } from "./result.ts";

type CheckRequest = PodRequest & { readonly prevResult: Readonly<Record<string, unknown>> };

/** Throws `not_found` for an unknown container and `conflict` with everything that is wrong. */
export async function checkPod(request: CheckRequest, signal: AbortSignal): Promise<void> {
  const { pod, book } = request;
  const records = await recordsOfPod(book, pod);
  if (records.length === 0) {
    throw new MeshError(
      "not_found",
      `Cannot check interface "${pod.ifName}" of container "${pod.containerId}": it was never added`,
    );
  }
  const faults = records.some(({ pair }) => pair !== undefined)
    ? await findChainedFaults(request, { records, signal })
    : await findFaults(request, { records, signal });
  if (faults.length === 0) return;
  throw new MeshError(
    "conflict",
    `Cannot confirm interface "${pod.ifName}" of container "${pod.containerId}"\n${faults.join("\n")}`,
  );
}

async function findFaults(
  request: CheckRequest,
  { records, signal }: { records: readonly AddressRecord[]; signal: AbortSignal },
): Promise<string[]> {
  const { pod, node, prevResult } = request;
  const attachment = attachmentFromRecords({ pod, node, records });
  const attached = datapathPodOf(attachment);
  return [
    ...findResultFaults(prevResult, attached),
    ...(await findPodFaults(attachment, signal)),
    ...findDatapathAndProgramFaults(attached, node.bpfRoot),
    ...(await findRouteFaults(attached, signal)),
  ];
}

/** What another plugin has made is that plugin's to check; it is the same, and ours is there. */
async function findChainedFaults(
  { pod, node, prevResult }: CheckRequest,
  { records, signal }: { records: readonly AddressRecord[]; signal: AbortSignal },
): Promise<string[]> {
  const addresses = records.map(({ address }) => address);
  const [first] = records;
  const known = { ...pairOfRecord(first ?? pod), addresses };
  let now: ForeignPod;
  try {
    now = await findForeignPod(pod, signal);
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    return [messageFromError(error)];
  }
  const lost = addresses.filter((address) => !now.addresses.includes(address));
  const same = now.podMac === known.podMac && now.hostInterface === known.hostInterface;
  return [
    ...findResultFaults(prevResult, known),
    ...lost.map((address) => `it has lost ${address}`),
    ...(same ? [] : [`its interface is another than the one that was added`]),
    ...findDatapathAndProgramFaults(known, node.bpfRoot),
  ];
}

/** What the runtime believes, against the address book. */
export function findResultFaults(
  prevResult: Readonly<Record<string, unknown>>,
  { addresses }: Pick<DatapathPod, "addresses">,
): string[] {
  const ips = Array.isArray(prevResult["ips"]) ? (prevResult["ips"] as unknown[]) : [];
  const known = new Set(
    ips.map((ip) => (isRecord(ip) ? String(ip["address"]).split("/")[0] : undefined)),
  );
  return addresses
    .filter((address) => !known.has(address))
    .map((address) => `prevResult does not have ${address}`);
}

async function findPodFaults(attachment: Attachment, signal: AbortSignal): Promise<string[]> {
  const { podInterface, netns: namespace, podMac, mtu, addresses } = attachment;
  const faults: string[] = [];
  try {
    const args = ["address", "show", "dev", podInterface];
    const [link = {}] = await queryIp({ args, namespace }, signal);
    if (link["address"] !== podMac) faults.push(`its MAC is ${String(link["address"])}`);
    if (link["mtu"] !== mtu) faults.push(`its MTU is ${String(link["mtu"])}, want ${mtu}`);
    if (link["operstate"] !== "UP") faults.push(`it is ${String(link["operstate"])}`);
    const present = new Set(rows(link["addr_info"]).map((row) => row["local"]));
    for (const { address } of addresses) {
      if (!present.has(address)) faults.push(`it has lost ${address}`);
    }
    for (const { family, gateway } of addresses) {
      const routes = await queryIp(
        { args: [`-${family}`, "route", "show", "default"], namespace },
        signal,
      );
      if (!routes.some((route) => route["gateway"] === gateway && route["dev"] === podInterface)) {
        faults.push(`the default route of IPv${family} does not lead to ${gateway}`);
      }
    }
  } catch (error) {
    faults.push(messageFromError(error));
  }
  return faults;
}

function findDatapathAndProgramFaults(pod: DatapathPod, bpfRoot: string): string[] {
  const { hostInterface } = pod;
  try {
    const faults = findDatapathFaults(bpfRoot, pod);
    for (const program of missingPodPrograms(interfaceIndexFromName(hostInterface))) {
      faults.push(`"${hostInterface}" has lost its program ${program}`);
    }
    return faults;
  } catch (error) {
    return [messageFromError(error)];
  }
}

async function findRouteFaults(
  { hostInterface, addresses }: DatapathPod,
  signal: AbortSignal,
): Promise<string[]> {
  const faults: string[] = [];
  try {
    for (const address of addresses) {
      const args = [address.includes(":") ? "-6" : "-4", "route", "show", address];
      const routes = await queryIp({ args }, signal);
      if (!routes.some((route) => route["dev"] === hostInterface)) {
        faults.push(`the node has lost its route to ${address}`);
      }
    }
    return faults;
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    return [messageFromError(error)];
  }
}

function rows(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? (value as Record<string, unknown>[]) : [];
}
