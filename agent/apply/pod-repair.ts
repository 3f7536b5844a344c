// Keeps the `endpoints` map and the pods' programs as the CNI plugin left them: an agent that
// starts attaches its new program to every pod, a row that was lost is written again, a row of a
// pod that is gone is removed. The plugin itself never waits for this.
import type { Clock } from "../../mesh/core/clock.ts";
import { parseAddress } from "../../mesh/core/address.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { addressFromMapAddress, mapAddressFromAddress } from "../../bpf/address.ts";
import type { Endpoint, EndpointKey } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { pairOfRecord, type AddressBook, type AddressRecord } from "../cni/address-book.ts";
import { macBytes } from "../cni/wiring.ts";

export interface PodRepairOptions {
  readonly book: Pick<AddressBook, "list">;
  readonly endpoints: Pick<BpfMap<EndpointKey, Endpoint>, "entries" | "put" | "delete">;
  /** Index of an interface of this namespace; throws `not_found`. */
  readonly interfaceIndex: (name: string) => number;
  /** Whether the pod's policy is known, so that new programs close nothing that was open. */
  readonly mayAttach: (ifindex: number) => boolean;
  /** Attaches the programs to the host side of a pod. */
  readonly attachPod: (ifindex: number) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface PodRepair {
  /** Looks once; returns how many rows were written and removed. */
  repair(): Promise<{ readonly written: number; readonly removed: number }>;
  /** Looks at intervals. Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** What is lost here was lost by accident: soon enough, and cheap enough, for 500 pods. */
const REPAIR_INTERVAL_MS = 30_000;

export function createPodRepair(options: PodRepairOptions): PodRepair {
  const { book, endpoints, clock, log } = options;
  /** Host interfaces that carry this agent's program. */
  const attached = new Set<number>();

  async function repair(): Promise<{ written: number; removed: number }> {
    // Rows before the book: the plugin enters a pod into the book before it writes its row, so
    // a row that is older than this look and not in the book is nobody's.
    const rows = new Map<string, Endpoint>();
    for (const [{ address }, row] of endpoints.entries()) {
      rows.set(addressFromMapAddress(address).text, row);
    }
    const wanted = wantedRows(await book.list(), options);
    let written = 0;
    for (const [address, row] of wanted) {
      if (!sameEndpoint(rows.get(address), row)) {
        endpoints.put(endpointKey(address), row);
        written++;
      }
      if (attached.has(row.ifindex) || !options.mayAttach(row.ifindex)) continue;
      options.attachPod(row.ifindex);
      attached.add(row.ifindex);
    }
    let removed = 0;
    for (const address of rows.keys()) {
      if (wanted.has(address)) continue;
      endpoints.delete(endpointKey(address));
      removed++;
    }
    if (written + removed > 0) log.info("Pods' rows were repaired", { written, removed });
    return { written, removed };
  }

  return {
    repair,
    async run(signal) {
      while (!signal.aborted) {
        try {
          await repair();
        } catch (error) {
          log.warn("Pods could not be looked after", { error });
        }
        try {
          await clock.sleep(REPAIR_INTERVAL_MS, signal);
        } catch (error) {
          if (!isMeshError(error, "aborted")) throw error;
        }
      }
    },
  };
}

/** By address; a pod whose interface is not there is being added, or gone without a DEL. */
function wantedRows(
  records: readonly AddressRecord[],
  options: Pick<PodRepairOptions, "interfaceIndex">,
): ReadonlyMap<string, Endpoint> {
  const wanted = new Map<string, Endpoint>();
  for (const record of records) {
    const { address } = record;
    const { hostInterface, hostMac, podMac } = pairOfRecord(record);
    try {
      const ifindex = options.interfaceIndex(hostInterface);
      wanted.set(address, { ifindex, podMac: macBytes(podMac), hostMac: macBytes(hostMac) });
    } catch (error) {
      if (!isMeshError(error, "not_found")) throw error;
    }
  }
  return wanted;
}

function sameEndpoint(a: Endpoint | undefined, b: Endpoint): boolean {
  return (
    a !== undefined &&
    a.ifindex === b.ifindex &&
    Buffer.from(a.podMac).equals(b.podMac) &&
    Buffer.from(a.hostMac).equals(b.hostMac)
  );
}

function endpointKey(address: string): EndpointKey {
  return { address: mapAddressFromAddress(parseAddress(address)) };
}
