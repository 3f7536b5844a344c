// Who owns a key that several objects want (two clusters, one address): all claims are kept, the
// first in order is written to the desired table, and the next takes over when it lets go. The
// order is fixed by the sources' ranks and the objects' names, so that the outcome never depends
// on who came first.
import type { WritableTable } from "../../mesh/core/table.ts";

export interface KeyedDesired<T> {
  readonly key: string;
  readonly row: T;
}

/** All objects of one source (a kind of record of a cluster). */
export interface ClaimSource<T> {
  /** Replaces what the object `name` claims; an empty list releases it. */
  claim(name: string, rows: readonly KeyedDesired<T>[]): void;
  /** Releases everything: the source is gone. */
  clear(): void;
}

export interface Claims<T> {
  /** Of two claims the one of the lower rank wins; ranks of two sources are never equal. */
  source(rank: number): ClaimSource<T>;
  /** Keys that more than one object claims now. */
  contested(): number;
}

interface Claim<T> {
  readonly rank: number;
  readonly name: string;
  readonly row: T;
}

export function createClaims<T>(desired: WritableTable<T>): Claims<T> {
  /** Never empty, sorted: the first is the owner. */
  const claims = new Map<string, readonly Claim<T>[]>();
  let contested = 0;

  function release(key: string, rank: number, name: string): void {
    const current = claims.get(key) ?? [];
    const rest = current.filter((claim) => claim.rank !== rank || claim.name !== name);
    replace(key, rest);
  }

  function replace(key: string, next: readonly Claim<T>[]): void {
    const before = claims.get(key)?.length ?? 0;
    contested += Number(next.length > 1) - Number(before > 1);
    const [owner] = next;
    if (owner === undefined) {
      claims.delete(key);
      desired.delete(key);
      return;
    }
    claims.set(key, next);
    desired.put(key, owner.row);
  }

  function take(key: string, claim: Claim<T>): void {
    const others = (claims.get(key) ?? []).filter(
      ({ rank, name }) => rank !== claim.rank || name !== claim.name,
    );
    replace(key, others.length === 0 ? [claim] : [...others, claim].sort(compareClaims));
  }

  return {
    contested: () => contested,
    source(rank) {
      const keysByName = new Map<string, readonly string[]>();
      return {
        claim(name, rows) {
          const kept = new Set(rows.map(({ key }) => key));
          for (const key of keysByName.get(name) ?? []) {
            if (!kept.has(key)) release(key, rank, name);
          }
          for (const { key, row } of rows) take(key, { rank, name, row });
          if (rows.length === 0) keysByName.delete(name);
          else keysByName.set(name, [...kept]);
        },
        clear() {
          for (const [name, keys] of keysByName) {
            for (const key of keys) release(key, rank, name);
          }
          keysByName.clear();
        },
      };
    },
  };
}

function compareClaims(a: Claim<unknown>, b: Claim<unknown>): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
