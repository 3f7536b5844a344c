// A BpfMap without a kernel, for tests of what uses maps. It passes the same contract suite, full
// maps and longest prefixes included; it goes through the codecs, so it shares their faults.
import { constants } from "node:os";
import { MeshError } from "../mesh/core/errors.ts";
import { createMemory, type MapSpec } from "./codec.ts";
import { errorFromResult } from "./errno.ts";
import type { BpfMap, RowConversion } from "./map.ts";

const ENOENT_FROM_ARRAY = -constants.errno.EINVAL;
const PREFIX_BYTES = 4;

interface Row<K, V> {
  readonly key: K;
  readonly value: V;
}

export function createMemoryMap<K, V>(
  spec: MapSpec<K, V>,
  { maxEntries = spec.maxEntries }: { maxEntries?: number } = {},
): BpfMap<K, V> {
  return new MemoryMap(spec, maxEntries);
}

class MemoryMap<K, V> implements BpfMap<K, V> {
  readonly name: string;
  readonly maxEntries: number;
  writes = 0;
  readonly #spec: MapSpec<K, V>;
  /** Encoded key → row. */
  readonly #rows = new Map<string, Row<K, V>>();

  constructor(spec: MapSpec<K, V>, maxEntries: number) {
    this.name = spec.name;
    this.maxEntries = maxEntries;
    this.#spec = spec;
    if (spec.type === "array") this.#fillArray();
  }

  get(key: K): V | undefined {
    if (this.#spec.type !== "lpm_trie") return this.#rows.get(this.#encode(key))?.value;
    const { bits, length } = this.#prefix(key);
    for (let shorter = length; shorter >= 0; shorter--) {
      const row = this.#rows.get(`${shorter}/${bits.slice(0, shorter)}`);
      if (row !== undefined) return row.value;
    }
    return undefined;
  }

  put(key: K, value: V): void {
    this.writes++;
    this.#putRow(key, value);
  }

  delete(key: K): boolean {
    this.writes++;
    return this.#deleteRow(key);
  }

  *entries(): IterableIterator<readonly [K, V]> {
    for (const { key, value } of this.#rows.values()) yield [key, value];
  }

  putBatch(rows: Iterable<readonly [K, V]>): void {
    let any = false;
    for (const [key, value] of rows) {
      this.#putRow(key, value);
      any = true;
    }
    if (any) this.writes++;
  }

  async putRows<R>(rows: readonly R[], conversion: RowConversion<R, K, V>): Promise<void> {
    const { toKey, toValue } = conversion;
    for (const row of rows) this.#putRow(toKey(row), toValue(row));
    if (rows.length > 0) this.writes++;
  }

  deleteBatch(keys: Iterable<K>): void {
    let any = false;
    for (const key of keys) {
      this.#deleteRow(key);
      any = true;
    }
    if (any) this.writes++;
  }

  close(): void {
    this.#rows.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #putRow(key: K, value: V): void {
    const encoded = this.#encode(key);
    const known = this.#rows.has(encoded);
    if (!known && this.#spec.type === "lru_hash" && this.#rows.size >= this.maxEntries) {
      const [oldest] = this.#rows.keys();
      if (oldest !== undefined) this.#rows.delete(oldest);
    }
    if (!known && this.#rows.size >= this.maxEntries)
      throw new MeshError(
        "resource_exhausted",
        `Cannot write map "${this.name}": it is full (${this.maxEntries} rows)`,
      );
    this.#rows.set(encoded, this.#throughMemory(key, value));
  }

  #deleteRow(key: K): boolean {
    if (this.#spec.type === "array")
      throw errorFromResult(`Cannot delete from map "${this.name}"`, ENOENT_FROM_ARRAY);
    return this.#rows.delete(this.#encode(key));
  }

  /** As the kernel would give it back. */
  #throughMemory(key: K, value: V): Row<K, V> {
    const keyMemory = createMemory(this.#spec.key.size);
    const valueMemory = createMemory(this.#spec.value.size);
    this.#spec.key.encode(key, keyMemory, 0);
    this.#spec.value.encode(value, valueMemory, 0);
    return {
      key: this.#spec.key.decode(keyMemory, 0),
      value: this.#spec.value.decode(valueMemory, 0),
    };
  }

  #encode(key: K): string {
    if (this.#spec.type === "lpm_trie") {
      const { bits, length } = this.#prefix(key);
      return `${length}/${bits}`;
    }
    const memory = createMemory(this.#spec.key.size);
    this.#spec.key.encode(key, memory, 0);
    return Buffer.from(memory.bytes).toString("latin1");
  }

  /** The key of a trie as text of zeros and ones, no longer than its prefix. */
  #prefix(key: K): { readonly bits: string; readonly length: number } {
    const memory = createMemory(this.#spec.key.size);
    this.#spec.key.encode(key, memory, 0);
    const length = memory.view.getUint32(0, true);
    const bits = Array.from(memory.bytes.subarray(PREFIX_BYTES), (byte) =>
      byte.toString(2).padStart(8, "0"),
    );
    return { bits: bits.join("").slice(0, length), length };
  }

  #fillArray(): void {
    const { key, value } = this.#spec;
    const zero = value.decode(createMemory(value.size), 0);
    for (let index = 0; index < this.maxEntries; index++) {
      const memory = createMemory(key.size);
      memory.view.setUint32(0, index, true);
      const row = { key: key.decode(memory, 0), value: zero };
      this.#rows.set(Buffer.from(memory.bytes).toString("latin1"), row);
    }
  }
}
