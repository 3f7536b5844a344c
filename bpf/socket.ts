// Sockets of kinds that Node has not (netlink, raw), which never block. Results of libc become
// MeshError here; what is said over such a socket is its user's business.
import { isIPv6 } from "node:net";
import { parseAddress } from "../mesh/core/address.ts";
import { MeshError } from "../mesh/core/errors.ts";
import { createMemory } from "./codec.ts";
import { errorFromResult, isErrno } from "./errno.ts";
import * as libc from "./libc.ts";

/** The kernel's own numbers. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_DGRAM = 2;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const MSG_DONTWAIT = 0x40;
const CLONE_NEWNET = 0x4000_0000;

export interface SocketKind {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
  /** For messages: "ICMP", "sock_diag". */
  readonly name: string;
}

export interface Socket extends Disposable {
  readonly fd: number;
  bind(address: Uint8Array): void;
  setOption(level: number, name: number, value: number): void;
  getOption(level: number, name: number): number;
  /** To `address` (`socketAddress`), or to whom the socket talks anyway. */
  send(message: Uint8Array, address?: Uint8Array): void;
  /** Bytes of the next message; undefined when none waits. The message is cut off at `into`. */
  receive(into: Uint8Array): number | undefined;
  /** The first `count` messages of the batch, in as few system calls as the kernel allows. */
  sendBatch(batch: MessageBatch, count: number): BatchResult;
  /** Closing again is nothing. */
  close(): void;
}

export interface BatchResult {
  /** Given to the device, whatever became of them there. */
  readonly sent: number;
  /** Places of messages that the kernel refused, such as for want of a route; the others went. */
  readonly refused: readonly { readonly index: number; readonly error: MeshError }[];
  /** Messages at the end that did not go since the socket's buffer is full. */
  readonly unsent: number;
}

/**
 * In the network namespace of the calling thread, in which the socket stays for ever. Throws
 * `permission_denied`, `resource_exhausted` (descriptors), `unsupported`.
 */
export function openSocket(kind: SocketKind): Socket {
  const type = kind.type | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fd = check(
    `Cannot open ${kind.name} socket`,
    libc.socket(kind.domain, type, kind.protocol),
  );
  return new KernelSocket(fd, kind.name);
}

/** Takes over a descriptor that another thread of this process has opened. */
export function socketFromFd(fd: number, name: string): Socket {
  return new KernelSocket(fd, name);
}

/** Moves the calling thread, never the main one, into a network namespace. */
export function enterNetworkNamespace(namespaceFd: number): void {
  const result = libc.setNamespace(namespaceFd, CLONE_NEWNET);
  check("Cannot enter network namespace", result);
}

class KernelSocket implements Socket {
  readonly #name: string;
  #fd: number;

  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  get fd(): number {
    return this.#fd;
  }

  bind(address: Uint8Array): void {
    check(`Cannot bind ${this.#name} socket`, libc.bind(this.#fd, address, address.length));
  }

  setOption(level: number, name: number, value: number): void {
    const { bytes, view } = createMemory(4);
    view.setInt32(0, value, true);
    const result = libc.setOption(this.#fd, level, name, bytes, bytes.length);
    check(`Cannot set option ${name} of ${this.#name} socket`, result);
  }

  getOption(level: number, name: number): number {
    const { bytes, view } = createMemory(4);
    const length = Uint32Array.of(bytes.length);
    const result = libc.getOption(this.#fd, level, name, bytes, length);
    check(`Cannot read option ${name} of ${this.#name} socket`, result);
    return view.getInt32(0, true);
  }

  send(message: Uint8Array, address?: Uint8Array): void {
    const to = address ?? null;
    const length = address?.length ?? 0;
    const result = libc.sendTo(this.#fd, message, message.length, MSG_DONTWAIT, to, length);
    check(`Cannot send on ${this.#name} socket`, result);
  }

  receive(into: Uint8Array): number | undefined {
    const result = negated(libc.receive(this.#fd, into, into.length, MSG_DONTWAIT));
    if (isErrno(result, "EAGAIN")) return undefined;
    if (result < 0) throw toError(`Cannot receive on ${this.#name} socket`, result);
    return result;
  }

  sendBatch(batch: MessageBatch, count: number): BatchResult {
    const refused: { index: number; error: MeshError }[] = [];
    let next = 0;
    while (next < count) {
      const headers = batch.headersFrom(next);
      const result = negated(libc.sendMessages(this.#fd, headers, count - next, MSG_DONTWAIT));
      if (result > 0) next += result;
      // The device's egress dropped it. IPv4 sockets are not even told; of the others it is lost as
      // what is dropped further on, and what comes behind it goes.
      else if (isErrno(result, "ENOBUFS")) next++;
      else if (isErrno(result, "EAGAIN")) break;
      else if (!isErrno(result, "EINTR")) {
        refused.push({
          index: next,
          error: toError(`Cannot send on ${this.#name} socket`, result),
        });
        next++;
      }
    }
    return { sent: next - refused.length, refused, unsent: count - next };
  }

  close(): void {
    if (this.#fd >= 0) libc.close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

// struct mmsghdr { struct msghdr { name, namelen, iov, iovlen, control, controllen, flags }, len }
// as every 64-bit Linux has it.
const HEADER = { size: 64, name: 0, nameLength: 8, vector: 16, vectorLength: 24 } as const;
/** struct iovec { base, len } */
const VECTOR = { size: 16, base: 0, length: 8 } as const;
/** struct sockaddr_in6, the longer one. */
const NAME_BYTES = 28;

/**
 * Messages that are laid out once and sent often: their memory never moves, and changing a message
 * is writing its bytes.
 */
export interface MessageBatch {
  readonly capacity: number;
  /** The message's own bytes, to be written at any time but during `sendBatch`. */
  payload(index: number): Uint8Array;
  /** To whom it goes (`socketAddress`), and how many of its bytes. */
  address(index: number, to: Uint8Array, payloadBytes: number): void;
  /** For sendBatch. */
  headersFrom(index: number): Uint8Array;
}

export function createMessageBatch(options: {
  readonly capacity: number;
  /** Of the longest message. */
  readonly payloadBytes: number;
}): MessageBatch {
  const { capacity, payloadBytes } = options;
  const headers = pinnedMemory(capacity * HEADER.size);
  const vectors = pinnedMemory(capacity * VECTOR.size);
  const names = pinnedMemory(capacity * NAME_BYTES);
  const payloads = pinnedMemory(capacity * payloadBytes);
  for (let i = 0; i < capacity; i++) {
    const header = i * HEADER.size;
    const vector = i * VECTOR.size;
    headers.pointTo(header + HEADER.name, names.address + BigInt(i * NAME_BYTES));
    headers.pointTo(header + HEADER.vector, vectors.address + BigInt(vector));
    headers.view.setBigUint64(header + HEADER.vectorLength, 1n, true);
    vectors.pointTo(vector + VECTOR.base, payloads.address + BigInt(i * payloadBytes));
  }
  return {
    capacity,
    payload: (index) => payloads.bytes.subarray(index * payloadBytes, (index + 1) * payloadBytes),
    address(index, to, length) {
      if (to.length > NAME_BYTES || length > payloadBytes)
        throw new RangeError(`an address of ${to.length} and a message of ${length} bytes`);
      names.bytes.set(to, index * NAME_BYTES);
      headers.view.setUint32(index * HEADER.size + HEADER.nameLength, to.length, true);
      vectors.view.setBigUint64(index * VECTOR.size + VECTOR.length, BigInt(length), true);
    },
    // Keeps what the headers point to: this closure lives as long as the batch.
    headersFrom: (index) => headers.bytes.subarray(index * HEADER.size),
  };
}

interface PinnedMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: bigint;
  pointTo(offset: number, address: bigint): void;
}

function pinnedMemory(size: number): PinnedMemory {
  const buffer = new ArrayBuffer(size);
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  return {
    bytes,
    view,
    address: libc.addressOf(bytes),
    pointTo: (offset, address) => view.setBigUint64(offset, address, true),
  };
}

/** struct sockaddr_in or sockaddr_in6. */
export function socketAddress(address: string, port = 0): Uint8Array {
  const { bytes } = parseAddress(address);
  const isLong = isIPv6(address);
  const memory = createMemory(isLong ? NAME_BYTES : 16);
  memory.view.setUint16(0, isLong ? AF_INET6 : AF_INET, true);
  memory.view.setUint16(2, port);
  memory.bytes.set(bytes, isLong ? 8 : 4);
  return memory.bytes;
}

/** libc's -1 as the negated errno that the rest of this folder knows. */
function negated(result: number): number {
  return result < 0 ? -libc.lastErrno() : result;
}

/** Returns what libc returned, if it is no error. */
function check(action: string, result: number): number {
  if (result < 0) throw toError(action, negated(result));
  return result;
}

/** Without errno.ts' hint, which is about eBPF. */
function toError(action: string, result: number): MeshError {
  const { code, message } = errorFromResult(action, result);
  return new MeshError(code, message);
}
