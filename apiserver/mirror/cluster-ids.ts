// Which cluster has which id. Two clusters with one id would share identities, so the second is
// refused; the first to be known keeps it, and what our cache knows from before comes first.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";

export interface ClusterIds {
  /** Peers' ids by name. */
  readonly held: Table<ClusterId>;
  /** Returns the name that holds the id: `name` itself if the reservation succeeded. */
  reserve(id: ClusterId, name: string): string;
  /** Releases whatever `name` holds. */
  release(name: string): void;
}

export function createClusterIds(own: { id: ClusterId; name: string }): ClusterIds {
  const names = new Map<ClusterId, string>([[own.id, own.name]]);
  const held = createTable<ClusterId>({ name: "cluster-ids" });

  function release(name: string): void {
    const id = held.get(name);
    if (id === undefined) return;
    names.delete(id);
    held.delete(name);
  }

  return {
    held,
    reserve(id, name) {
      const holder = names.get(id);
      if (holder !== undefined) return holder;
      release(name);
      names.set(id, name);
      held.put(name, id);
      return name;
    },
    release,
  };
}
