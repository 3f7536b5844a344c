// Reads what programs put into a ring buffer. Its memory is the kernel's own: a page that says how
// far the reader is, a page that says how far the writers are, and the data, mapped twice in a
// row so that no record is ever torn at the end:
//
//   | consumer | producer | data ............ | the same data ... |
//
// There is one reader, whoever it is: what it has read is gone for everybody.
import { closeSync } from "node:fs";
import type { AnyMapSpec, Codec, Memory } from "./codec.ts";
import { errorFromResult } from "./errno.ts";
import * as libc from "./libc.ts";
import { checkMapFd, openPin } from "./pin.ts";

export interface RingBuffer<T> extends Disposable {
  /** What has come since the last read, oldest first, at most `limit` of it. Never waits. */
  read(limit?: number): T[];
  close(): void;
}

/** linux/mman.h */
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

/** linux/bpf.h: bits of a record's length, and what stands before a record. */
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;
const HEADER_BYTES = 8;

/** Throws `not_found` if nothing is pinned there, `conflict` if it is something else. */
export function openPinnedRingBuffer<T>(
  path: string,
  { spec, record }: { readonly spec: AnyMapSpec; readonly record: Codec<T> },
): RingBuffer<T> {
  const fd = openPin(path);
  try {
    const { maxEntries: dataBytes } = checkMapFd(fd, spec);
    return mapRingBuffer(fd, { record, dataBytes, name: spec.name });
  } finally {
    closeSync(fd); // What is mapped stays.
  }
}

function mapRingBuffer<T>(
  fd: number,
  { record, dataBytes, name }: { record: Codec<T>; dataBytes: number; name: string },
): RingBuffer<T> {
  const page = libc.pageSize();
  const producerBytes = page + 2 * dataBytes;
  const map = (bytes: number, protection: number, offset: number): bigint => {
    const address = libc.mapMemory(null, bytes, protection, MAP_SHARED, fd, offset);
    if (BigInt.asIntN(64, BigInt(address)) === -1n)
      throw errorFromResult(`Cannot map ring buffer "${name}"`, libc.lastErrno());
    return BigInt(address);
  };
  const consumerAddress = map(page, PROT_READ | PROT_WRITE, 0);
  let producerAddress: bigint;
  try {
    producerAddress = map(producerBytes, PROT_READ, page);
  } catch (error) {
    libc.unmapMemory(consumerAddress, page);
    throw error;
  }
  const consumer = new BigUint64Array(libc.viewOf(consumerAddress, page), 0, 1);
  const memory = libc.viewOf(producerAddress, producerBytes);
  const producer = new BigUint64Array(memory, 0, 1);
  const lengths = new Uint32Array(memory, page);
  const data: Memory = { bytes: new Uint8Array(memory, page), view: new DataView(memory, page) };
  const mask = BigInt(dataBytes) - 1n;
  let open = true;

  function read(limit = Infinity): T[] {
    const records: T[] = [];
    if (!open) return records;
    let place = Atomics.load(consumer, 0);
    const end = Atomics.load(producer, 0);
    while (place < end && records.length < limit) {
      const offset = Number(place & mask);
      const length = Atomics.load(lengths, offset / Uint32Array.BYTES_PER_ELEMENT);
      if ((length & BUSY) !== 0) break; // Its writer is not done; those behind it have to wait.
      const bytes = length & LENGTH_MASK;
      if ((length & DISCARDED) === 0 && bytes === record.size)
        records.push(record.decode(data, offset + HEADER_BYTES));
      place += BigInt((HEADER_BYTES + bytes + 7) & ~7);
    }
    Atomics.store(consumer, 0, place);
    return records;
  }

  function close(): void {
    if (!open) return;
    open = false;
    libc.unmapMemory(consumerAddress, page);
    libc.unmapMemory(producerAddress, producerBytes);
  }
  return { read, close, [Symbol.dispose]: close };
}
