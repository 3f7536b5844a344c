// Makes the ipcache map hold the desired rows. Adopts what the pinned map holds: equal rows are
// not written again, and leftovers of a cluster go only once that cluster has settled.
import { MeshError } from "../../mesh/core/errors.ts";
import type { Operations } from "../../mesh/core/reconciler.ts";
import type { Settlement } from "../desired/settlement.ts";
import { sameIpcacheRow, type IpcacheRow } from "../plan/plan-ipcache.ts";
import type { TargetMap } from "./service-maps.ts";

export interface IpcacheOperationsOptions {
  /** By prefix. */
  readonly map: TargetMap<string, IpcacheRow>;
  readonly settlement: Settlement;
}

/** Reads the map once, here. */
export function createIpcacheOperations(options: IpcacheOperationsOptions): Operations<IpcacheRow> {
  const { map, settlement } = options;
  /** Rows of the map that no update or delete has met yet. */
  const adopted = new Map<string, IpcacheRow>(map.entries());
  const written = new Set<string>();

  /** The row that the map held when this agent started, the first time it is asked for. */
  function adopt(key: string): IpcacheRow | undefined {
    if (adopted.size === 0) return undefined;
    const found = adopted.get(key);
    if (found !== undefined) adopted.delete(key);
    return found;
  }

  return {
    async update(rows) {
      const failures = new Map<string, Error>();
      const puts: [string, IpcacheRow][] = [];
      for (const { key, row } of rows) {
        const found = adopt(key);
        written.add(key);
        if (adopted.size + written.size > map.maxEntries) {
          written.delete(key);
          failures.set(key, tooMany(row, map));
        } else if (found === undefined || !sameIpcacheRow(found, row)) puts.push([key, row]);
      }
      map.putAll(puts);
      return failures;
    },
    async delete(rows) {
      map.deleteAll(rows.map(({ key }) => key));
      for (const { key } of rows) {
        adopted.delete(key);
        written.delete(key);
      }
      return new Map();
    },
    async prune(desired) {
      const gone: string[] = [];
      for (const [key, row] of adopted) {
        if (desired.get(key) === undefined && settlement.mayPrune(row.clusterId)) gone.push(key);
      }
      map.deleteAll(gone);
      for (const key of gone) adopted.delete(key);
    },
  };
}

function tooMany(row: IpcacheRow, map: { readonly maxEntries: number }): MeshError {
  return new MeshError(
    "resource_exhausted",
    `Cannot add ${row.prefix} to the ipcache: it holds at most ${map.maxEntries} entries`,
  );
}
