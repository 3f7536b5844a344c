// Who owns a key that several objects want (two clusters, one address): all claims are kept, the
// first in order is written to the desired table, and the next takes over when it lets go. The
// order is fixed by the sources' ranks and the objects' names, so that the outcome never depends
// on who came first.
//
// Nearly every object claims one key, and nearly every key has one claim: both are kept without
// a list around them, because there are hundreds of thousands.
import type { WritableTable } from "../../mesh/core/table.ts";

/** All objects of one source (a kind of record of a cluster). */
export interface ClaimSource<T> {
  /** Replaces what the object `name` claims; an empty list releases it. */
  claim(name: string, rows: readonly T[]): void;
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

export function createClaims<T>(options: {
  readonly desired: WritableTable<T>;
  /** Under which key a row stands in the table. */
  readonly keyOf: (row: T) => string;
}): Claims<T> {
  const { desired, keyOf } = options;
  /** The owner comes first in a list; a list has at least two. */
  const claims = new Map<string, Claim<T> | readonly Claim<T>[]>();
  let contested = 0;

  function replace(key: string, next: readonly Claim<T>[]): void {
    const [owner] = next;
    if (owner === undefined) {
      claims.delete(key);
      desired.delete(key);
    } else {
      claims.set(key, next.length === 1 ? owner : next);
      desired.put(key, owner.row);
    }
  }

  function others(key: string, object: { readonly rank: number; readonly name: string }) {
    const current = claims.get(key);
    const all = current === undefined ? [] : isList(current) ? current : [current];
    contested -= Number(all.length > 1);
    return all.filter(({ rank, name }) => rank !== object.rank || name !== object.name);
  }

  function release(key: string, object: { readonly rank: number; readonly name: string }): void {
    const rest = others(key, object);
    contested += Number(rest.length > 1);
    replace(key, rest);
  }

  function take(key: string, claim: Claim<T>): void {
    const current = claims.get(key);
    const alone =
      current === undefined ||
      (!isList(current) && current.rank === claim.rank && current.name === claim.name);
    if (alone) {
      claims.set(key, claim);
      desired.put(key, claim.row);
      return;
    }
    const all = [...others(key, claim), claim].sort(compareClaims);
    contested += Number(all.length > 1);
    replace(key, all);
  }

  return {
    contested: () => contested,
    source(rank) {
      const keysByName = new Map<string, string | readonly string[]>();
      return {
        claim(name, rows) {
          const before = keysByName.get(name);
          const [first] = rows;
          const only = first !== undefined && rows.length === 1 ? keyOf(first) : undefined;
          if (first !== undefined && only !== undefined && (before ?? only) === only) {
            if (before === undefined) keysByName.set(name, only);
            take(only, { rank, name, row: first });
            return;
          }
          const kept = new Set(rows.map(keyOf));
          for (const key of listed(before)) {
            if (!kept.has(key)) release(key, { rank, name });
          }
          for (const row of rows) take(keyOf(row), { rank, name, row });
          if (rows.length === 0) keysByName.delete(name);
          else keysByName.set(name, only ?? [...kept]);
        },
        clear() {
          for (const [name, keys] of keysByName) {
            for (const key of listed(keys)) release(key, { rank, name });
          }
          keysByName.clear();
        },
      };
    },
  };
}

function listed(keys: string | readonly string[] | undefined): readonly string[] {
  if (keys === undefined) return [];
  return typeof keys === "string" ? [keys] : keys;
}

function isList<T>(claims: Claim<T> | readonly Claim<T>[]): claims is readonly Claim<T>[] {
  return Array.isArray(claims);
}

function compareClaims(a: Claim<unknown>, b: Claim<unknown>): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
