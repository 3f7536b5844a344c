// The pods of this node that have an interface, as a table: read from the address book whenever an
// address was taken, and now and then. A pod that has gone stands there a little longer, which
// harms nobody: the index of its interface is not given to another.
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";
import { pairOfRecord, type AddressBook, type AddressRecord } from "../cni/address-book.ts";

/** One interface of one pod. */
export interface LocalEndpoint {
  /** `CONTAINER/INTERFACE`, as the runtime names it. */
  readonly key: string;
  /** `namespace/name`; "" if the runtime did not say. */
  readonly pod: string;
  /** The host side of its pair. */
  readonly hostInterface: string;
  readonly ifindex: number;
  /** Canonical texts, in order. */
  readonly addresses: readonly string[];
}

export interface LocalEndpoints {
  /** Synced once the book was read. */
  readonly table: Table<LocalEndpoint>;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface LocalEndpointsOptions {
  readonly book: Pick<AddressBook, "list">;
  /** Yields when addresses have been taken; ends, or rejects, when the signal aborts. */
  readonly podsCame: (signal: AbortSignal) => AsyncIterable<unknown>;
  /** Index of an interface of this namespace; throws `not_found`. */
  readonly interfaceIndex: (name: string) => number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The book is read again although nobody said that it has changed: for pods that went. */
const READ_INTERVAL_MS = 10_000;
/** A record appears a moment before its interface. */
const INTERFACE_WAIT_MS = 20;

export function createLocalEndpoints(options: LocalEndpointsOptions): LocalEndpoints {
  const { book, clock, log } = options;
  const table = createTable<LocalEndpoint>({ name: "local-endpoints", equals: sameEndpoint });
  let wake = new AbortController();

  /** Whether every pod of the book had its interface. */
  async function read(): Promise<boolean> {
    const records = Map.groupBy(await book.list(), ({ containerId, ifName }) =>
      keyOf({ containerId, ifName }),
    );
    let complete = true;
    const found = new Set<string>();
    for (const [key, ofOne] of records) {
      const endpoint = endpointFromRecords(key, ofOne, options.interfaceIndex);
      if (endpoint === undefined) complete = false;
      else {
        found.add(key);
        table.put(key, endpoint);
      }
    }
    for (const [key] of table.entries()) if (!found.has(key)) table.delete(key);
    table.markSynced();
    return complete;
  }

  async function watch(signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of options.podsCame(signal)) wake.abort("pods have come");
    } catch (error) {
      if (!signal.aborted) log.warn("The address book cannot be watched", { error });
    }
  }

  async function readAgainAndAgain(signal: AbortSignal): Promise<void> {
    // An interface that never comes is waited for as long as one that is slow to come.
    let misses = 0;
    while (!signal.aborted) {
      wake = new AbortController();
      let complete = false;
      try {
        complete = await read();
      } catch (error) {
        log.warn("The address book cannot be read", { error });
      }
      misses = complete ? 0 : misses + 1;
      const soon = Math.min(INTERFACE_WAIT_MS * 2 ** Math.min(misses, 16), READ_INTERVAL_MS);
      const pauseMs = complete ? READ_INTERVAL_MS : soon;
      await sleep(clock, pauseMs, AbortSignal.any([signal, wake.signal]));
    }
  }

  return {
    table,
    async run(signal) {
      await Promise.all([watch(signal), readAgainAndAgain(signal)]);
    },
  };
}

function keyOf({ containerId, ifName }: Pick<AddressRecord, "containerId" | "ifName">): string {
  return `${containerId}/${ifName}`;
}

function endpointFromRecords(
  key: string,
  records: readonly AddressRecord[],
  interfaceIndex: (name: string) => number,
): LocalEndpoint | undefined {
  const [first] = records;
  if (first === undefined) return undefined;
  const { hostInterface } = pairOfRecord(first);
  try {
    const ifindex = interfaceIndex(hostInterface);
    const addresses = records.map(({ address }) => address).sort();
    return { key, pod: first.pod, hostInterface, ifindex, addresses };
  } catch (error) {
    if (isMeshError(error, "not_found")) return undefined;
    throw error;
  }
}

function sameEndpoint(a: LocalEndpoint, b: LocalEndpoint): boolean {
  return (
    a.pod === b.pod &&
    a.hostInterface === b.hostInterface &&
    a.ifindex === b.ifindex &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every((address, i) => address === b.addresses[i])
  );
}

async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  }
}
