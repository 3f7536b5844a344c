// ADD and CHECK behind another plugin: it has made the pod's interface and given it addresses, we
// put the pod into the datapath. Nothing is allocated, and what the other has made stays its own:
// how pods of this node reach each other, and what is outside the mesh.
//
// What we need to know stands in the two namespaces, whatever plugin it was: a veth pair's ends
// name each other by index. Bridges, tunnels and devices without a host side have no place for
// our program and are refused.
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import { parseAddress, parsePrefix } from "../../mesh/core/address.ts";
import type { AddressBook, AddressRecord } from "./address-book.ts";
import type { PodRequest } from "./attach.ts";
import { connectPod, disconnectPod } from "./datapath.ts";
import { recordsOfPod } from "./detach.ts";
import { queryIp, runIp } from "./iproute.ts";
import type { PairNames } from "./wiring.ts";

/** What another plugin has made. */
export interface ForeignPod extends PairNames {
  /** Without prefix length; IPv4 first. */
  readonly addresses: readonly string[];
  /** Of the pod's side. */
  readonly mtu: number;
}

/** Throws `already_exists` or what failed; then nothing of ours is left behind. */
export async function attachChainedPod(
  request: PodRequest,
  signal: AbortSignal,
): Promise<ForeignPod> {
  const { pod, node, book } = request;
  if ((await recordsOfPod(book, pod)).length > 0) {
    throw new MeshError(
      "already_exists",
      `Cannot add interface "${pod.ifName}" to container "${pod.containerId}": it has it already`,
      { hint: "DEL comes before another ADD" },
    );
  }
  const foreign = await findForeignPod(pod, signal);
  const records: AddressRecord[] = [];
  try {
    for (const address of foreign.addresses) {
      records.push(await enterAddress(request, { address, foreign }));
    }
    if (foreign.mtu > node.mtu) await lowerMtu(pod, { foreign, mtu: node.mtu }, signal);
    connectPod(node.bpfRoot, foreign);
    return foreign;
  } catch (error) {
    // The first failure is the one to tell; the DEL that follows tries the rest again.
    try {
      disconnectPod(node.bpfRoot, foreign);
      for (const record of records) await book.giveBack(record);
    } catch {
      // Found again by its record, or by the agent, which removes rows without one.
    }
    throw error;
  }
}

/** Throws `unsupported` for an interface that is no veth, `not_found` for none. */
export async function findForeignPod(
  pod: Pick<PodRequest["pod"], "netns" | "ifName">,
  signal: AbortSignal,
): Promise<ForeignPod> {
  const { netns: namespace, ifName } = pod;
  const args = ["-details", "address", "show", "dev", ifName];
  const [link = {}] = await queryIp({ args, namespace }, signal);
  const kind = (link["linkinfo"] as Record<string, unknown> | undefined)?.["info_kind"];
  const host = (await queryIp({ args: ["link", "show"] }, signal)).find(
    ({ ifindex, link_index: peer }) =>
      ifindex === link["link_index"] && peer === link["ifindex"] && ifindex !== undefined,
  );
  if (kind !== "veth" || host === undefined) {
    throw new MeshError(
      "unsupported",
      `Cannot stand behind another plugin: interface "${ifName}" of the pod is no veth pair with its other end on the node`,
      { hint: "bridge, ptp and the plugins of cloud providers make such pairs; ipvlan does not" },
    );
  }
  return {
    hostInterface: String(host["ifname"]),
    hostMac: String(host["address"]),
    podMac: String(link["address"]),
    mtu: Number(link["mtu"]),
    addresses: globalAddresses(link["addr_info"]),
  };
}

/** Canonical; IPv4 first. */
export function globalAddresses(rows: unknown): string[] {
  const list = Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  return list
    .filter(({ scope }) => scope === "global")
    .map(({ local }) => parseAddress(String(local)))
    .sort((a, b) => a.family - b.family)
    .map(({ text }) => text);
}

/**
 * Whose an address is, the other plugin has decided: one that somebody else still has in our book
 * was his until he went without a DEL.
 */
async function enterAddress(
  { pod, node, book }: PodRequest,
  { address, foreign }: { readonly address: string; readonly foreign: ForeignPod },
): Promise<AddressRecord> {
  const { containerId, ifName, netns } = pod;
  const { hostInterface, hostMac, podMac } = foreign;
  const owner = {
    containerId,
    ifName,
    netns,
    pod: pod.pod,
    bpfRoot: node.bpfRoot,
    pair: { hostInterface, hostMac, podMac },
  };
  const prefix = parsePrefix(`${address}/${address.includes(":") ? 128 : 32}`);
  const take = (): ReturnType<AddressBook["take"]> =>
    book.take({ prefixes: [prefix], excluded: [], owner });
  try {
    return await take();
  } catch (error) {
    if (!isMeshError(error, "resource_exhausted")) throw error;
  }
  const stale = (await book.list()).filter((record) => record.address === address);
  for (const record of stale) await book.giveBack(record);
  return take();
}

/** The overlay's headers need their room; the host's side too, so that it says so to senders. */
async function lowerMtu(
  { netns, ifName }: PodRequest["pod"],
  { foreign, mtu }: { readonly foreign: ForeignPod; readonly mtu: number },
  signal: AbortSignal,
): Promise<void> {
  await runIp({ lines: [`link set ${ifName} mtu ${mtu}`], namespace: netns }, signal);
  await runIp({ lines: [`link set ${foreign.hostInterface} mtu ${mtu}`] }, signal);
}
