// The plugin's part of the node's datapath: the pinned programs at a pod's host side, and the
// pod's rows in the `endpoints` map. Works with what is pinned; no agent has to run.
import { join } from "node:path";
import { parseAddress } from "../../mesh/core/address.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import { mapAddressFromAddress } from "../../bpf/address.ts";
import { attachPod, detachPod } from "../../bpf/datapath.ts";
import type { Endpoint, EndpointKey } from "../../bpf/gen/layout.ts";
import { endpointsMap } from "../../bpf/gen/maps.ts";
import { openPinnedMap, type BpfMap } from "../../bpf/map.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";
import { macBytes, type PairNames } from "./wiring.ts";

/** A pod as the datapath knows it. */
export interface DatapathPod extends PairNames {
  readonly addresses: readonly string[];
}

/** The rows first: with the programs attached, a pod without them would be taken for a stranger. */
export function connectPod(bpfRoot: string, pod: DatapathPod): void {
  const ifindex = interfaceIndexFromName(pod.hostInterface);
  const endpoint = endpointFromPod(pod, ifindex);
  using endpoints = openEndpoints(bpfRoot);
  for (const address of pod.addresses) endpoints.put(endpointKey(address), endpoint);
  attachPod(bpfRoot, ifindex);
}

/**
 * Removes the rows that are still this pod's; the program goes with its interface. A datapath
 * that is not there any more has none.
 */
export function disconnectPod(
  bpfRoot: string,
  pod: Pick<DatapathPod, "addresses" | "podMac">,
): void {
  let endpoints: BpfMap<EndpointKey, Endpoint>;
  try {
    endpoints = openEndpoints(bpfRoot);
  } catch (error) {
    if (isMeshError(error, "not_found")) return;
    throw error;
  }
  using map = endpoints;
  for (const key of pod.addresses.map(endpointKey)) {
    const row = map.get(key);
    if (row !== undefined && Buffer.from(row.podMac).equals(macBytes(pod.podMac))) map.delete(key);
  }
}

/** What of the pod's datapath is not as it should be; empty when all is well. */
export function findDatapathFaults(bpfRoot: string, pod: DatapathPod): string[] {
  const ifindex = interfaceIndexFromName(pod.hostInterface);
  using endpoints = openEndpoints(bpfRoot);
  const wanted = endpointFromPod(pod, ifindex);
  return pod.addresses.flatMap((address) => {
    const row = endpoints.get(endpointKey(address));
    if (row === undefined) return [`the endpoints map has no row for ${address}`];
    const same =
      row.ifindex === ifindex && Buffer.from(row.podMac).equals(Buffer.from(wanted.podMac));
    return same ? [] : [`the endpoints map has another pod's row for ${address}`];
  });
}

/** The programs of an interface that stays without us. Success if either is gone. */
export function detachPrograms(hostInterface: string): void {
  try {
    detachPod(interfaceIndexFromName(hostInterface));
  } catch (error) {
    if (!isMeshError(error, "not_found")) throw error;
  }
}

function openEndpoints(bpfRoot: string): BpfMap<EndpointKey, Endpoint> {
  return openPinnedMap(join(bpfRoot, "maps", endpointsMap.name), endpointsMap);
}

function endpointKey(address: string): EndpointKey {
  return { address: mapAddressFromAddress(parseAddress(address)) };
}

function endpointFromPod({ podMac, hostMac }: PairNames, ifindex: number): Endpoint {
  return { ifindex, podMac: macBytes(podMac), hostMac: macBytes(hostMac) };
}
