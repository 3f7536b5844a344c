// One typed wrapper of a kernel map. It owns a file descriptor and knows the map's codec; which
// rows belong into a map is somebody else's business. memory-map.ts is the same without a kernel.
import { closeSync } from "node:fs";
import { MeshError } from "../mesh/core/errors.ts";
import { createMemory, type AnyMapSpec, type MapSpec, type Memory } from "./codec.ts";
import { checkResult, ENOTSUPP, errorFromResult, isErrno } from "./errno.ts";
import * as libbpf from "./libbpf.ts";
import { checkMapFd, MAP_TYPE_NUMBER, openPin } from "./pin.ts";

export interface BpfMap<K, V> extends Disposable {
  readonly name: string;
  readonly maxEntries: number;
  /** System calls that wrote, since the map was opened. */
  readonly writes: number;
  /** In a trie: of the longest prefix that covers the key. */
  get(key: K): V | undefined;
  /** Throws `resource_exhausted` when the map is full. */
  put(key: K, value: V): void;
  /** Whether there was a row. */
  delete(key: K): boolean;
  /**
   * A walk, not a snapshot: rows written meanwhile may or may not appear. Who wants the first rows
   * of an array, or knows that there are few, says how many a system call shall read.
   */
  entries(batchRows?: number): IterableIterator<readonly [K, V]>;
  /** A system call for thousands of rows. When it throws, some may have been written. */
  putBatch(rows: Iterable<readonly [K, V]>): void;
  /**
   * The same for rows of any shape, and on another thread: the caller's next rows can be planned
   * while the kernel writes these. One call at a time.
   */
  putRows<R>(rows: readonly R[], conversion: RowConversion<R, K, V>): Promise<void>;
  /** Keys without a row are passed over. */
  deleteBatch(keys: Iterable<K>): void;
  close(): void;
}

/**
 * What a row is in the map. What a function returns is encoded before it is called again: it may
 * be the same memory every time.
 */
export interface RowConversion<R, K, V> {
  readonly toKey: (row: R) => K;
  readonly toValue: (row: R) => V;
}

/** Rows a system call: enough to make its cost vanish, few enough to keep the event loop going. */
const BATCH_ROWS = 4096;

const BUCKET_ROWS_MAX = 64;

/** The kernel writes so many rows in the time that it takes to hand them to another thread. */
const DIRECT_ROWS = 32;

/** Throws `not_found` if nothing is pinned there, `conflict` if the map's layout is another one. */
export function openPinnedMap<K, V>(path: string, spec: MapSpec<K, V>): BpfMap<K, V> {
  const fd = openPin(path);
  try {
    return mapFromFd(fd, spec);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A map of its own, in no object and with no pin: it ends when it is closed. */
export function createMap<K, V>(spec: MapSpec<K, V>, maxEntries: number): BpfMap<K, V> {
  return mapFromFd(createMapFd(spec, maxEntries), spec);
}

/** The file descriptor alone, for a map that another one shall hold. */
export function createMapFd(
  spec: AnyMapSpec & { readonly flags: number },
  maxEntries: number,
): number {
  const options = { sz: libbpf.SIZE_OF.mapCreateOptions, map_flags: spec.flags };
  const type = MAP_TYPE_NUMBER[spec.type];
  const { key, value } = spec;
  const fd = libbpf.mapCreate(type, spec.name, key.size, value.size, maxEntries, options);
  return checkResult(`Cannot create map "${spec.name}"`, fd);
}

/** Takes the file descriptor over, unless it throws. */
export function mapFromFd<K, V>(fd: number, spec: MapSpec<K, V>): BpfMap<K, V> {
  const { maxEntries } = checkMapFd(fd, spec);
  return new KernelMap(fd, { spec, maxEntries });
}

class KernelMap<K, V> implements BpfMap<K, V> {
  readonly name: string;
  readonly maxEntries: number;
  #writes = 0;
  #fd: number;
  #batches = true;
  /** What the kernel reads on other threads: neither it nor the file descriptor may go. */
  readonly #underWay = new Set<Batch>();
  #closed = false;
  readonly #spec: MapSpec<K, V>;
  readonly #key: Memory;
  readonly #value: Memory;
  #keys: Memory | undefined;
  #values: Memory | undefined;
  readonly #count = new Uint32Array(1);

  constructor(fd: number, { spec, maxEntries }: { spec: MapSpec<K, V>; maxEntries: number }) {
    this.name = spec.name;
    this.maxEntries = maxEntries;
    this.#fd = fd;
    this.#spec = spec;
    this.#key = createMemory(spec.key.size);
    this.#value = createMemory(spec.value.size);
  }

  get writes(): number {
    return this.#writes;
  }

  get(key: K): V | undefined {
    this.#spec.key.encode(key, this.#key, 0);
    const result = libbpf.mapLookup(this.#fd, this.#key.bytes, this.#value.bytes);
    if (isErrno(result, "ENOENT")) return undefined;
    checkResult(`Cannot read map "${this.name}"`, result);
    return this.#spec.value.decode(this.#value, 0);
  }

  put(key: K, value: V): void {
    this.#spec.key.encode(key, this.#key, 0);
    this.#spec.value.encode(value, this.#value, 0);
    this.#writes++;
    const result = libbpf.mapUpdate(this.#fd, this.#key.bytes, this.#value.bytes, 0);
    if (result < 0) throw this.#writeError(result);
  }

  delete(key: K): boolean {
    this.#spec.key.encode(key, this.#key, 0);
    this.#writes++;
    const result = libbpf.mapDelete(this.#fd, this.#key.bytes);
    if (isErrno(result, "ENOENT")) return false;
    checkResult(`Cannot delete from map "${this.name}"`, result);
    return true;
  }

  *entries(batchRows = BATCH_ROWS): IterableIterator<readonly [K, V]> {
    const { key, value } = this.#spec;
    // The kernel reads a bucket whole or not at all; no bucket has nearly so many rows.
    const rows = this.#spec.type === "array" ? batchRows : Math.max(batchRows, BUCKET_ROWS_MAX);
    // Own memory: other calls may come between two rows.
    const keys = createMemory(rows * key.size);
    const values = createMemory(rows * value.size);
    const count = new Uint32Array(1);
    // The kernel keeps its place in here: a key, or the number of a bucket.
    const place = new Uint8Array(Math.max(key.size, 8));
    for (let first = true, more = true; more; first = false) {
      count[0] = rows;
      const result = libbpf.mapLookupBatch(
        this.#fd,
        first ? null : place,
        place,
        keys.bytes,
        values.bytes,
        count,
        null,
      );
      if (first && isUnsupported(result)) {
        yield* this.#entriesOneByOne();
        return;
      }
      more = !isErrno(result, "ENOENT");
      if (more) checkResult(`Cannot list map "${this.name}"`, result);
      for (let i = 0; i < (count[0] ?? 0); i++)
        yield [key.decode(keys, i * key.size), value.decode(values, i * value.size)];
    }
  }

  putBatch(rows: Iterable<readonly [K, V]>): void {
    const { key, value } = this.#spec;
    const keys = (this.#keys ??= createMemory(BATCH_ROWS * key.size));
    const values = (this.#values ??= createMemory(BATCH_ROWS * value.size));
    let count = 0;
    for (const row of rows) {
      key.encode(row[0], keys, count * key.size);
      value.encode(row[1], values, count * value.size);
      count++;
      if (count < BATCH_ROWS) continue;
      this.#writeRows(keys, values, count);
      count = 0;
    }
    if (count > 0) this.#writeRows(keys, values, count);
  }

  async putRows<R>(rows: readonly R[], conversion: RowConversion<R, K, V>): Promise<void> {
    // Own memory: the kernel still reads one batch while the next is encoded.
    let batch = this.#encodeBatch(rows, { conversion, start: 0 });
    for (let start = batch.count; batch.count > 0; start += batch.count) {
      const written = this.#writeAside(batch);
      try {
        batch = this.#encodeBatch(rows, { conversion, start });
      } finally {
        await written;
      }
    }
  }

  deleteBatch(keys: Iterable<K>): void {
    const { key } = this.#spec;
    const memory = (this.#keys ??= createMemory(BATCH_ROWS * key.size));
    let count = 0;
    for (const item of keys) {
      key.encode(item, memory, count * key.size);
      count++;
      if (count < BATCH_ROWS) continue;
      this.#deleteRows(memory, count);
      count = 0;
    }
    if (count > 0) this.#deleteRows(memory, count);
  }

  close(): void {
    this.#closed = true;
    if (this.#underWay.size > 0) return;
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The rows from `start` on, as many as a system call takes. */
  #encodeBatch<R>(
    rows: readonly R[],
    { conversion, start }: { conversion: RowConversion<R, K, V>; start: number },
  ): Batch {
    const { key, value } = this.#spec;
    const count = Math.min(rows.length - start, BATCH_ROWS);
    const keys = createMemory(count * key.size);
    const values = createMemory(count * value.size);
    for (let i = 0; i < count; i++) {
      const row = rows[start + i] as R;
      key.encode(conversion.toKey(row), keys, i * key.size);
      value.encode(conversion.toValue(row), values, i * value.size);
    }
    return { keys, values, count, written: Uint32Array.of(count) };
  }

  async #writeAside(batch: Batch): Promise<void> {
    const { keys, values, count } = batch;
    if (!this.#batches || count <= DIRECT_ROWS) {
      this.#writeRows(keys, values, count);
      return;
    }
    this.#writes++;
    this.#underWay.add(batch);
    try {
      const result = await updateBatchAside(this.#fd, batch);
      if (result >= 0) return;
      if (!isUnsupported(result)) throw this.#writeError(result);
      this.#batches = false; // This kernel has no batches for this type of map.
      this.#writeRows(keys, values, count);
    } finally {
      this.#underWay.delete(batch);
      if (this.#closed) this.close();
    }
  }

  #writeRows(keys: Memory, values: Memory, count: number): void {
    if (this.#batches) {
      this.#count[0] = count;
      this.#writes++;
      const result = libbpf.mapUpdateBatch(this.#fd, keys.bytes, values.bytes, this.#count, null);
      if (result >= 0) return;
      if (!isUnsupported(result)) throw this.#writeError(result);
      this.#batches = false; // This kernel has no batches for this type of map.
    }
    const { key, value } = this.#spec;
    for (let i = 0; i < count; i++) {
      this.#writes++;
      const result = libbpf.mapUpdate(
        this.#fd,
        keys.bytes.subarray(i * key.size, (i + 1) * key.size),
        values.bytes.subarray(i * value.size, (i + 1) * value.size),
        0,
      );
      if (result < 0) throw this.#writeError(result);
    }
  }

  /** The kernel stops a batch at the first key without a row: pass that one over and go on. */
  #deleteRows(keys: Memory, count: number): void {
    const { size } = this.#spec.key;
    for (let start = 0; start < count;) {
      const rest = keys.bytes.subarray(start * size, count * size);
      this.#writes++;
      if (this.#batches) {
        this.#count[0] = count - start;
        const result = libbpf.mapDeleteBatch(this.#fd, rest, this.#count, null);
        if (result >= 0) return;
        if (isUnsupported(result)) {
          this.#batches = false;
          continue;
        }
        if (!isErrno(result, "ENOENT"))
          throw errorFromResult(`Cannot delete from map "${this.name}"`, result);
        start += (this.#count[0] ?? 0) + 1;
      } else {
        const result = libbpf.mapDelete(this.#fd, rest.subarray(0, size));
        if (!isErrno(result, "ENOENT"))
          checkResult(`Cannot delete from map "${this.name}"`, result);
        start++;
      }
    }
  }

  *#entriesOneByOne(): IterableIterator<readonly [K, V]> {
    const { key, value } = this.#spec;
    let previous: Uint8Array | null = null;
    for (;;) {
      const next = createMemory(key.size);
      const result = libbpf.mapNextKey(this.#fd, previous, next.bytes);
      if (isErrno(result, "ENOENT")) return;
      checkResult(`Cannot list map "${this.name}"`, result);
      previous = next.bytes;
      const memory = createMemory(value.size);
      if (libbpf.mapLookup(this.#fd, next.bytes, memory.bytes) >= 0)
        yield [key.decode(next, 0), value.decode(memory, 0)];
    }
  }

  #writeError(result: number): MeshError {
    if (isErrno(result, "E2BIG") || isErrno(result, "ENOSPC"))
      return new MeshError(
        "resource_exhausted",
        `Cannot write map "${this.name}": it is full (${this.maxEntries} rows)`,
      );
    return errorFromResult(`Cannot write map "${this.name}"`, result);
  }
}

interface Batch {
  readonly keys: Memory;
  readonly values: Memory;
  readonly count: number;
  /** `count` as the kernel takes it, and puts there what it has written. */
  readonly written: Uint32Array;
}

function updateBatchAside(fd: number, { keys, values, written }: Batch): Promise<number> {
  return new Promise((resolve, reject) => {
    libbpf.mapUpdateBatch.async(fd, keys.bytes, values.bytes, written, null, (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

/** EINVAL too: older kernels know the command, but not for this type of map. */
function isUnsupported(result: number): boolean {
  return (
    result === -ENOTSUPP ||
    isErrno(result, "EOPNOTSUPP") ||
    isErrno(result, "ENOSYS") ||
    isErrno(result, "EINVAL")
  );
}
