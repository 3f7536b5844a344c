// The rows of the map `probes`: who is asked, under which number, and what the kernel has heard of
// each. A target keeps its row for as long as it is probed; numbers are given out from the lowest,
// so that one short batch reads them all.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { mapAddressFromText } from "../../bpf/address.ts";
import type { Probe } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { EchoRequest } from "./echo-socket.ts";
import type { Family, ProbedTarget } from "./observation.ts";

export type ProbeMap = Pick<
  BpfMap<number, Probe>,
  "name" | "maxEntries" | "get" | "put" | "putBatch" | "entries"
>;

/** A node to be asked, and where. */
export interface ProbeTarget {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  readonly node: string;
  /** Its address in the overlay. */
  readonly address: string;
}

export interface ProbeRows {
  /** Makes these the targets; those that stay keep their totals. Returns how many found no row. */
  setTargets(targets: readonly ProbeTarget[]): number;
  /** The next request to a target; undefined for one that has no row. */
  nextRequest(key: string): EchoRequest | undefined;
  /** A request that `nextRequest` gave out and that never left. */
  takeBack(request: EchoRequest): void;
  /**
   * Reads what may have changed in the map. Requests that were given out before count as due from
   * now on. The rows are the same objects each time, and say what is so now.
   */
  observe(): readonly ProbedTarget[];
  /** Whether the target (by targetKey) has answered since it is one. */
  isHeard(key: string): boolean;
}

interface Row {
  readonly target: ProbeTarget;
  readonly index: number;
  readonly cookie: bigint;
  sequence: number;
  sent: number;
  /** Looks since the last request; an answer that is older than AWAITED_LOOKS is not looked for. */
  looks: number;
  readonly seen: Writable<ProbedTarget>;
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Seconds. A later answer is found as soon as the target is asked again. */
const AWAITED_LOOKS = 100;
/** Reading a single row costs about as much as four of a batch. */
const SINGLE_ROW_COST = 4;

const NOBODY: Probe = {
  address: new Uint8Array(16),
  cookie: 0n,
  lastReplyNs: 0n,
  replies: 0n,
  roundTripNs: 0n,
  lastSequence: 0,
};

/** Which target it is, whatever its address. */
export function targetKey(target: {
  readonly clusterId: ClusterId;
  readonly family: Family;
  readonly node: string;
}): string {
  return `${target.clusterId}/${target.family}/${target.node}`;
}

/** Takes the map over: what another agent left in it is cleared. */
export function createProbeRows(options: {
  readonly map: ProbeMap;
  /** 64 random bits: who has not seen a request cannot forge its answer. */
  readonly newCookie: () => bigint;
}): ProbeRows {
  const { map, newCookie } = options;
  const rows = new Map<string, Row>();
  /** By number; free ones are undefined. */
  const byIndex: (Row | undefined)[] = [];
  let observed: readonly ProbedTarget[] | undefined;
  const leftovers: number[] = [];
  for (const [index, { cookie }] of map.entries()) if (cookie !== 0n) leftovers.push(index);
  map.putBatch(leftovers.map((index) => [index, NOBODY] as const));

  function allot(target: ProbeTarget): boolean {
    const free = byIndex.indexOf(undefined);
    const index = free < 0 ? byIndex.length : free;
    if (index >= map.maxEntries) return false;
    const { clusterId, cluster, family, node } = target;
    const row: Row = {
      target,
      index,
      cookie: newCookie(),
      sequence: 0,
      sent: 0,
      looks: 0,
      seen: {
        clusterId,
        cluster,
        family,
        node,
        sent: 0,
        answered: 0,
        lastAnswerMs: undefined,
        roundTripMs: undefined,
      },
    };
    byIndex[index] = row;
    rows.set(targetKey(target), row);
    map.put(index, {
      ...NOBODY,
      address: mapAddressFromText(target.address),
      cookie: row.cookie,
    });
    return true;
  }

  function free(key: string, row: Row): void {
    rows.delete(key);
    byIndex[row.index] = undefined;
    map.put(row.index, NOBODY);
    while (byIndex.length > 0 && byIndex.at(-1) === undefined) byIndex.pop();
  }

  return {
    setTargets(targets) {
      const wanted = new Map(targets.map((target) => [targetKey(target), target]));
      for (const [key, row] of rows) {
        if (wanted.get(key)?.address !== row.target.address) free(key, row);
      }
      let refused = 0;
      for (const [key, target] of wanted) {
        if (!rows.has(key) && !allot(target)) refused++;
      }
      observed = undefined;
      return refused;
    },
    nextRequest(key) {
      const row = rows.get(key);
      if (row === undefined) return undefined;
      row.sent++;
      row.looks = 0;
      row.sequence = (row.sequence + 1) >>> 0;
      const { index, cookie, sequence, target } = row;
      return { address: target.address, cookie, target: index, sequence };
    },
    takeBack({ target }) {
      const row = byIndex[target];
      if (row !== undefined) row.sent--;
    },
    observe() {
      const awaited = [...rows.values()].filter(isAwaited);
      for (const row of rows.values()) row.seen.sent = row.sent;
      if (awaited.length * SINGLE_ROW_COST < byIndex.length) {
        for (const row of awaited) note(row, map.get(row.index));
      } else {
        for (const [index, probe] of firstRows(map, byIndex.length)) note(byIndex[index], probe);
      }
      return (observed ??= [...rows.values()].map(({ seen }) => seen));
    },
    isHeard: (key) => (rows.get(key)?.seen.answered ?? 0) > 0,
  };
}

function isAwaited(row: Row): boolean {
  row.looks++;
  return row.sent > row.seen.answered && row.looks <= AWAITED_LOOKS;
}

function note(row: Row | undefined, probe: Probe | undefined): void {
  if (row === undefined || probe === undefined) return;
  const { seen } = row;
  seen.answered = Number(probe.replies);
  if (probe.lastReplyNs === 0n) return;
  seen.lastAnswerMs = Number(probe.lastReplyNs) / 1e6;
  seen.roundTripMs = Number(probe.roundTripNs) / 1e6;
}

/** An array is read in order, and no further than this. */
function* firstRows(map: Pick<ProbeMap, "entries">, count: number): Iterable<[number, Probe]> {
  if (count === 0) return;
  for (const [index, probe] of map.entries(count)) {
    if (index >= count) return;
    yield [index, probe];
  }
}
