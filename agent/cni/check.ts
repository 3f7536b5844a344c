// CHECK: looks whether a pod still has all that ADD gave it, and names everything that is not so.
import { commandOutput } from "../../mesh/core/child-process.ts";
import { isMeshError, messageFromError, MeshError } from "../../mesh/core/errors.ts";
import { attachmentFromRecords, type PodRequest } from "./attach.ts";
import { findDatapathFaults } from "./datapath.ts";
import { recordsOfPod } from "./detach.ts";
import { queryIp } from "./iproute.ts";
import { isRecord } from "./request.ts";
import type { Attachment } from "./result.ts";

/** Throws `not_found` for an unknown container and `conflict` with everything that is wrong. */
export async function checkPod(
  request: PodRequest & { readonly prevResult: Readonly<Record<string, unknown>> },
  signal: AbortSignal,
): Promise<void> {
  const { pod, node, book } = request;
  const records = await recordsOfPod(book, pod);
  if (records.length === 0) {
    throw new MeshError(
      "not_found",
      `Cannot check interface "${pod.ifName}" of container "${pod.containerId}": it was never added`,
    );
  }
  const attachment = attachmentFromRecords({ pod, node, records });
  const faults = [
    ...findResultFaults(request.prevResult, attachment),
    ...(await findPodFaults(attachment, signal)),
    ...(await findHostFaults(attachment, { bpfRoot: node.bpfRoot, signal })),
  ];
  if (faults.length === 0) return;
  throw new MeshError(
    "conflict",
    `Cannot confirm interface "${pod.ifName}" of container "${pod.containerId}"\n${faults.join("\n")}`,
  );
}

/** What the runtime believes, against the address book. */
export function findResultFaults(
  prevResult: Readonly<Record<string, unknown>>,
  { addresses }: Attachment,
): string[] {
  const ips = Array.isArray(prevResult["ips"]) ? (prevResult["ips"] as unknown[]) : [];
  const known = new Set(
    ips.map((ip) => (isRecord(ip) ? String(ip["address"]).split("/")[0] : undefined)),
  );
  return addresses
    .filter(({ address }) => !known.has(address))
    .map(({ address }) => `prevResult does not have ${address}`);
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

async function findHostFaults(
  attachment: Attachment,
  { bpfRoot, signal }: { bpfRoot: string; signal: AbortSignal },
): Promise<string[]> {
  const { hostInterface, addresses } = attachment;
  try {
    const faults = findDatapathFaults(bpfRoot, attachment);
    const argv = ["tc", "filter", "show", "dev", hostInterface, "ingress"] as const;
    if (!(await commandOutput({ argv }, signal)).includes("from_pod")) {
      faults.push(`"${hostInterface}" has lost its program`);
    }
    for (const { family, address } of addresses) {
      const args = [`-${family}`, "route", "show", address];
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
