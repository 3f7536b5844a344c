// Messages of NETLINK_SOCK_DIAG (linux/netlink.h, sock_diag.h, inet_diag.h): asking a network
// namespace for its sockets, and ending some of them. Pure; the bytes travel in diag-socket.ts.
// Numbers of netlink are in the machine's order, ports and addresses in the network's.
import type { TransportProtocol } from "../plan/plan-service.ts";

export const NETLINK_SOCK_DIAG = 4;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_DUMP = 0x300;

/** struct nlmsghdr */
const HEADER_BYTES = 16;
/** struct inet_diag_req_v2 */
const REQUEST_BYTES = 56;
/** struct inet_diag_sockid, and where it stands in a request and in an inet_diag_msg. */
const ID_BYTES = 48;
const ID_IN_REQUEST = 8;
const ID_IN_ANSWER = 4;
/** struct inet_diag_msg */
const ANSWER_BYTES = 72;
const ID = { port: 2, address: 20, cookie: 40 } as const;
export const DESTROY_BYTES = HEADER_BYTES + REQUEST_BYTES;

/** Linux' numbers of address families. */
const FAMILY = { 4: 2, 6: 10 } as const;
const PROTOCOL: Record<TransportProtocol, number> = { TCP: 6, UDP: 17 };

/** TCP_ESTABLISHED and so on; a connected UDP socket is "established". */
const STATE = {
  established: 1,
  synSent: 2,
  finWait1: 4,
  finWait2: 5,
  closeWait: 8,
  lastAck: 9,
  closing: 11,
} as const;
/** Neither listening nor waiting out its time: what has somebody at the other end. */
const TCP_STATES = Object.values(STATE).reduce((mask, state) => mask | (1 << state), 0);
const UDP_STATES = 1 << STATE.established;

/** The family of a socket, which is 6 also for one that talks to an IPv4-mapped address. */
export type SocketFamily = keyof typeof FAMILY;

export interface SocketListing {
  readonly family: SocketFamily;
  readonly protocol: TransportProtocol;
}

export interface DiagnosedSocket extends SocketListing {
  /** In connect(), without an answer so far. */
  readonly connecting: boolean;
  /** What BPF programs know it by. */
  readonly cookie: bigint;
  /** To whom it talks: 16 bytes, IPv4 mapped, as maps have them. */
  readonly address: Uint8Array;
  readonly port: number;
  /** What SOCK_DESTROY wants to have back. */
  readonly id: Uint8Array;
}

export type DiagMessage =
  | { readonly kind: "socket"; readonly sequence: number; readonly socket: DiagnosedSocket }
  /** `errno` is 0 or negated; 0 is the answer to what was done. */
  | { readonly kind: "end"; readonly sequence: number; readonly errno: number };

/** Asks for every socket of a family and protocol that has somebody at the other end. */
export function encodeListing(listing: SocketListing, sequence: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + REQUEST_BYTES);
  const view = new DataView(bytes.buffer);
  encodeHeader(view, { type: SOCK_DIAG_BY_FAMILY, flags: NLM_F_DUMP, sequence });
  encodeRequest(view, listing);
  const states = listing.protocol === "TCP" ? TCP_STATES : UDP_STATES;
  view.setUint32(HEADER_BYTES + 4, states, true);
  return bytes;
}

/** Asks to end sockets, each with an answer of its own; numbered from `sequence` on. */
export function encodeDestruction(
  sockets: readonly DiagnosedSocket[],
  sequence: number,
): Uint8Array {
  const bytes = new Uint8Array(sockets.length * DESTROY_BYTES);
  for (const [i, socket] of sockets.entries()) {
    const view = new DataView(bytes.buffer, i * DESTROY_BYTES, DESTROY_BYTES);
    encodeHeader(view, { type: SOCK_DESTROY, flags: NLM_F_ACK, sequence: sequence + i });
    encodeRequest(view, socket);
    bytes.set(socket.id, i * DESTROY_BYTES + HEADER_BYTES + ID_IN_REQUEST);
  }
  return bytes;
}

/** One datagram of the kernel. Kinds of messages that nobody asked for are passed over. */
export function* decodeMessages(
  bytes: Uint8Array,
  protocol: TransportProtocol,
): IterableIterator<DiagMessage> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let start = 0; start + HEADER_BYTES <= bytes.length;) {
    const length = view.getUint32(start, true);
    if (length < HEADER_BYTES || start + length > bytes.length) return;
    const type = view.getUint16(start + 4, true);
    const sequence = view.getUint32(start + 8, true);
    const body = start + HEADER_BYTES;
    const bodyBytes = length - HEADER_BYTES;
    if (type === SOCK_DIAG_BY_FAMILY && bodyBytes >= ANSWER_BYTES) {
      const socket = decodeSocket(bytes.subarray(body, body + ANSWER_BYTES), protocol);
      yield { kind: "socket", sequence, socket };
    } else if ((type === NLMSG_ERROR || type === NLMSG_DONE) && bodyBytes >= 4) {
      yield { kind: "end", sequence, errno: view.getInt32(body, true) };
    }
    start += (length + 3) & ~3;
  }
}

function encodeHeader(
  view: DataView,
  header: { readonly type: number; readonly flags: number; readonly sequence: number },
): void {
  view.setUint32(0, HEADER_BYTES + REQUEST_BYTES, true);
  view.setUint16(4, header.type, true);
  view.setUint16(6, header.flags | NLM_F_REQUEST, true);
  view.setUint32(8, header.sequence, true);
}

function encodeRequest(view: DataView, { family, protocol }: SocketListing): void {
  view.setUint8(HEADER_BYTES, FAMILY[family]);
  view.setUint8(HEADER_BYTES + 1, PROTOCOL[protocol]);
}

function decodeSocket(bytes: Uint8Array, protocol: TransportProtocol): DiagnosedSocket {
  const family = bytes[0] === FAMILY[4] ? 4 : 6;
  // A copy: the buffer is the next datagram's.
  const id = Uint8Array.from(bytes.subarray(ID_IN_ANSWER, ID_IN_ANSWER + ID_BYTES));
  const view = new DataView(id.buffer);
  return {
    family,
    protocol,
    connecting: bytes[1] === STATE.synSent,
    cookie: view.getBigUint64(ID.cookie, true),
    address: mapAddress(id.subarray(ID.address, ID.address + 16), family),
    port: view.getUint16(ID.port),
    id,
  };
}

function mapAddress(bytes: Uint8Array, family: SocketFamily): Uint8Array {
  if (family === 6) return bytes;
  const mapped = new Uint8Array(16);
  mapped.fill(0xff, 10, 12);
  mapped.set(bytes.subarray(0, 4), 12);
  return mapped;
}
