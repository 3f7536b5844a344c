// Makes the ipcache map hold the desired rows. Adopts what the pinned map holds: equal rows are
// not written again, and leftovers of a cluster go only once that cluster has settled.
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import type { Failures, Operations } from "../../mesh/core/reconciler.ts";
import type { Settlement } from "../desired/settlement.ts";
import { NO_CLUSTER, sameIpcacheRow, type IpcacheRow } from "../plan/plan-ipcache.ts";

/** The ipcache map, its rows by prefix. */
export interface IpcacheTarget {
  readonly name: string;
  readonly maxEntries: number;
  /** Rejects with `resource_exhausted` when the map is full; some may have been written then. */
  putAll(rows: readonly IpcacheRow[]): Promise<void>;
  /** A prefix that is not there is no error. */
  deleteAll(prefixes: Iterable<string>): void;
  entries(): Iterable<IpcacheRow>;
}

export interface IpcacheOperationsOptions {
  readonly map: IpcacheTarget;
  readonly settlement: Settlement;
  /** Whether all prefixes that policies name are among the desired rows; no if left out. */
  readonly cidrsKnown?: () => boolean;
}

/** The kernel's part of a batch runs beside us, so a large one does not hold the event loop. */
const BATCH_ROWS = 4_096;

/** Reads the map once, here. */
export function createIpcacheOperations(options: IpcacheOperationsOptions): Operations<IpcacheRow> {
  const { map, settlement } = options;
  /** Rows of the map that no update or delete has met yet. */
  const adopted = new Map<string, IpcacheRow>();
  for (const row of map.entries()) adopted.set(row.prefix, row);

  /** Whether the map held this very row when the agent started; answers yes once. */
  function adopt(row: IpcacheRow): boolean {
    if (adopted.size === 0) return false;
    const found = adopted.get(row.prefix);
    if (found === undefined) return false;
    adopted.delete(row.prefix);
    return sameIpcacheRow(found, row);
  }

  function mayPrune({ clusterId }: IpcacheRow): boolean {
    if (clusterId === NO_CLUSTER) return options.cidrsKnown?.() === true;
    return settlement.mayPrune(clusterId);
  }

  return {
    batchRows: BATCH_ROWS,
    async update(rows) {
      const puts: IpcacheRow[] = [];
      for (const { row } of rows) if (!adopt(row)) puts.push(row);
      return await putAll(map, puts);
    },
    async delete(rows) {
      map.deleteAll(rows.map(({ key }) => key));
      for (const { key } of rows) adopted.delete(key);
      return new Map();
    },
    async prune(desired) {
      const gone: string[] = [];
      for (const [key, row] of adopted) {
        if (desired.get(key) === undefined && mayPrune(row)) gone.push(key);
      }
      map.deleteAll(gone);
      for (const key of gone) adopted.delete(key);
    },
  };
}

/** A full map fails the rows that it cannot hold, and no others. */
async function putAll(map: IpcacheTarget, rows: readonly IpcacheRow[]): Promise<Failures> {
  const failures = new Map<string, Error>();
  try {
    await map.putAll(rows);
    return failures;
  } catch (error) {
    if (!isMeshError(error, "resource_exhausted")) throw error;
  }
  for (const row of rows) {
    try {
      await map.putAll([row]);
    } catch (error) {
      if (!isMeshError(error, "resource_exhausted")) throw error;
      failures.set(row.prefix, tooMany(row, map));
    }
  }
  return failures;
}

function tooMany(row: IpcacheRow, map: IpcacheTarget): MeshError {
  return new MeshError(
    "resource_exhausted",
    `Cannot add ${row.prefix} to the ipcache: it holds at most ${map.maxEntries} entries`,
  );
}
