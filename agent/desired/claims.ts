// Who owns a key that several objects want (two clusters, one address): all claims are kept, the
// first in order stands in the desired table, and the next takes over when it lets go. The order
// is fixed by the sources' ranks and the objects' names, so that the outcome never depends on who
// came first.
//
// Nearly every object claims one key, and nearly every key has one claim, and there are hundreds
// of thousands: the owner's claim and the table's row are one entry, losers are kept beside.
import { createTable, type Table } from "../../mesh/core/table.ts";

/** All objects of one source (a kind of record of a cluster). */
export interface ClaimSource<T> {
  /** Replaces what the object `name` claims; an empty list releases it. */
  claim(name: string, rows: readonly T[]): void;
  /** Releases everything: the source is gone. */
  clear(): void;
}

export interface Claims<T> {
  /** The owners' rows. */
  readonly desired: Table<T>;
  /** All sources have claimed what they had. */
  markSynced(): void;
  /** Of two claims the one of the lower rank wins; ranks of two sources are never equal. */
  source(rank: number): ClaimSource<T>;
  /** Keys that more than one object claims now. */
  contested(): number;
}

export interface ClaimsOptions<T> {
  /** The desired table's. */
  readonly name: string;
  /** Under which key a row stands in the table. */
  readonly keyOf: (row: T) => string;
  /** When two rows count as the same; identity if left out. */
  readonly equals?: (a: T, b: T) => boolean;
}

interface Claimant {
  readonly rank: number;
  readonly name: string;
}

interface Claim<T> extends Claimant {
  readonly row: T;
}

export function createClaims<T>(options: ClaimsOptions<T>): Claims<T> {
  const { keyOf, equals = Object.is } = options;
  const owners = createTable<Claim<T>>({
    name: options.name,
    equals: (a, b) => sameClaimant(a, b) && equals(a.row, b.row),
  });
  /** Claims that lost, in order, of the keys that are contested. */
  const losers = new Map<string, readonly Claim<T>[]>();

  /** All claims but that object's, in order. */
  function others(key: string, claimant: Claimant): Claim<T>[] {
    const owner = owners.get(key);
    const all = owner === undefined ? [] : [owner, ...(losers.get(key) ?? [])];
    return all.filter((claim) => !sameClaimant(claim, claimant));
  }

  function replace(key: string, [owner, ...rest]: readonly Claim<T>[]): void {
    if (rest.length === 0) losers.delete(key);
    else losers.set(key, rest);
    if (owner === undefined) owners.delete(key);
    else own(key, owner);
  }

  function own(key: string, claim: Claim<T>): void {
    const before = owners.get(key);
    const handedOver = before !== undefined && !sameClaimant(before, claim);
    // An equal row of another owner is no change to who reads the table.
    const row = handedOver && equals(before.row, claim.row) ? before.row : claim.row;
    owners.put(key, row === claim.row ? claim : { ...claim, row });
  }

  function release(key: string, claimant: Claimant): void {
    replace(key, others(key, claimant));
  }

  function take(key: string, claim: Claim<T>): void {
    const owner = owners.get(key);
    const alone = owner === undefined || (sameClaimant(owner, claim) && !losers.has(key));
    if (alone) owners.put(key, claim);
    else replace(key, [...others(key, claim), claim].sort(compareClaims));
  }

  return {
    desired: viewRows(owners),
    markSynced: () => owners.markSynced(),
    contested: () => losers.size,
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

function viewRows<T>(owners: Table<Claim<T>>): Table<T> {
  return {
    name: owners.name,
    get size() {
      return owners.size;
    },
    get synced() {
      return owners.synced;
    },
    get: (key) => owners.get(key)?.row,
    *entries() {
      for (const [key, { row }] of owners.entries()) yield [key, row];
    },
    changes: (signal) => owners.changes(signal),
  };
}

function sameClaimant(a: Claimant, b: Claimant): boolean {
  return a.rank === b.rank && a.name === b.name;
}

function compareClaims(a: Claimant, b: Claimant): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
