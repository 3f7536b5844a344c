// What a generated codec is, and the few functions that generated code calls. Values are plain
// numbers in the machine's sense whatever their order in memory: a codec knows which fields are
// in network order, so no TypeScript value ever is.

/** Bytes with a view over the same bytes. */
export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Writes and reads one C type at a place in memory. */
export interface Codec<T> {
  /** The C name, for messages. */
  readonly name: string;
  readonly size: number;
  /** Writes every byte, padding included: memory is reused and keys are compared bytewise. */
  readonly encode: (value: T, memory: Memory, offset: number) => void;
  readonly decode: (memory: Memory, offset: number) => T;
}

/** Of a map of maps, what is written is a file descriptor, and what is read an id. */
export type MapType =
  "hash" | "array" | "percpu_array" | "lru_hash" | "lpm_trie" | "hash_of_maps" | "ringbuf";

/** A map as its C declaration has it. */
export interface MapSpec<K, V> {
  readonly name: string;
  readonly type: MapType;
  readonly maxEntries: number;
  readonly flags: number;
  readonly key: Codec<K>;
  readonly value: Codec<V>;
}

/** A map spec of whatever types, for code that only looks at names and sizes. */
export type AnyMapSpec = Pick<MapSpec<unknown, unknown>, "name" | "type" | "maxEntries"> & {
  readonly key: { readonly size: number };
  readonly value: { readonly size: number };
};

export function createMemory(size: number): Memory {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

export const uint32Codec: Codec<number> = {
  name: "__u32",
  size: 4,
  encode: (value, memory, offset) => memory.view.setUint32(offset, value, true),
  decode: (memory, offset) => memory.view.getUint32(offset, true),
};

/** Throws RangeError for bytes of another length: a programmer's error, not an input's. */
export function writeBytes(
  value: Uint8Array,
  { memory, offset, length }: { memory: Memory; offset: number; length: number },
): void {
  if (value.length !== length) throw new RangeError(`want ${length} bytes, got ${value.length}`);
  // Faster than set() for the few bytes of an address.
  for (let i = 0; i < length; i++) memory.bytes[offset + i] = value[i] ?? 0;
}

export function readBytes(memory: Memory, offset: number, length: number): Uint8Array {
  return memory.bytes.slice(offset, offset + length);
}

export function clearBytes(memory: Memory, offset: number, length: number): void {
  for (let i = 0; i < length; i++) memory.bytes[offset + i] = 0;
}
