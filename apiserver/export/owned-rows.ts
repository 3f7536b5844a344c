// Rows that several objects may claim: the endpoint record of an address that two pods name, as
// happens for moments when an address is used again. The first owner by name is in force; when
// it lets go, the next takes over, so that neither order of events nor a restart matters.
import type { WritableTable } from "../../mesh/core/table.ts";

export class OwnedRows {
  readonly #table: WritableTable<Buffer>;
  readonly #claimants = new Map<string, Map<string, Buffer>>();
  readonly #claimed = new Map<string, ReadonlySet<string>>();

  constructor(table: WritableTable<Buffer>) {
    this.#table = table;
  }

  /** Replaces all rows of an owner. */
  set(owner: string, rows: ReadonlyMap<string, Buffer>): void {
    const before = this.#claimed.get(owner) ?? new Set<string>();
    for (const key of before) {
      if (!rows.has(key)) this.#claimants.get(key)?.delete(owner);
    }
    for (const [key, row] of rows) {
      const claimants = this.#claimants.get(key);
      if (claimants === undefined) this.#claimants.set(key, new Map([[owner, row]]));
      else claimants.set(owner, row);
    }
    for (const key of before) this.#settle(key);
    for (const key of rows.keys()) this.#settle(key);
    if (rows.size > 0) this.#claimed.set(owner, new Set(rows.keys()));
    else this.#claimed.delete(owner);
  }

  #settle(key: string): void {
    let first: string | undefined;
    const claimants = this.#claimants.get(key);
    for (const owner of claimants?.keys() ?? []) {
      if (first === undefined || owner < first) first = owner;
    }
    const row = first === undefined ? undefined : claimants?.get(first);
    if (row !== undefined) {
      this.#table.put(key, row);
      return;
    }
    this.#claimants.delete(key);
    this.#table.delete(key);
  }
}
