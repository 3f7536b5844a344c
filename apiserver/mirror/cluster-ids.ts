// Which cluster has which id. Two clusters with one id would share identities, so the second is
// refused; the first to be known keeps it, and what our cache knows from before comes first.

export interface ClusterIds {
  /** Returns the name that holds the id: `name` itself if the reservation succeeded. */
  reserve(id: number, name: string): string;
  /** Releases whatever `name` holds. */
  release(name: string): void;
}

export function createClusterIds(own: { id: number; name: string }): ClusterIds {
  const names = new Map<number, string>([[own.id, own.name]]);

  function release(name: string): void {
    for (const [id, holder] of names) {
      if (holder === name && id !== own.id) names.delete(id);
    }
  }

  return {
    reserve(id, name) {
      const holder = names.get(id);
      if (holder !== undefined) return holder;
      release(name);
      names.set(id, name);
      return name;
    },
    release,
  };
}
