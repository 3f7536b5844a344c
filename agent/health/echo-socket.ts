// Sends probes: ICMP and ICMPv6 echo requests out of the overlay device, all of a round in one
// system call. Whom to ask is not decided here, and answers never come here: from_overlay takes
// them in (bpf/lib/probes.h).
//
//   +------+------+----------+----+----------+---------------+
//   | type | code | checksum | id | sequence | probe_payload |   RFC 792, RFC 4443 section 4.1
//   |  1   |  1   |    2     | 2  |    2     |      24       |
//   +------+------+----------+----+----------+---------------+
import { probePayloadCodec } from "../../bpf/gen/layout.ts";
import type { Memory } from "../../bpf/codec.ts";
import {
  AF_INET,
  AF_INET6,
  createMessageBatch,
  openSocket,
  SOCK_RAW,
  socketAddress,
  SOL_SOCKET,
  type MessageBatch,
} from "../../bpf/socket.ts";
import type { Family } from "./observation.ts";

/** One echo request. */
export interface EchoRequest {
  readonly address: string;
  readonly cookie: bigint;
  /** Row of the map `probes`. */
  readonly target: number;
  readonly sequence: number;
}

export interface EchoSocket {
  /** All of them at once, stamped `sentNs`; calls `onUnsent` for those that did not leave. */
  send(
    requests: readonly EchoRequest[],
    round: { readonly sentNs: bigint; readonly onUnsent: (index: number) => void },
  ): void;
  close(): void;
}

export interface EchoSocketOptions {
  readonly family: Family;
  /** The overlay device: no request goes any other way, whatever the routes say. */
  readonly ifindex: number;
  /** The node's own address in the overlay, so that answers take the same way. */
  readonly source: string;
}

const HEADER_BYTES = 8;
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;
const PROTOCOL = { 4: 1, 6: 58 } as const;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUF = 8;
const SO_BINDTOIFINDEX = 62;
/** SOL_IP with IP_TRANSPARENT, SOL_IPV6 with IPV6_TRANSPARENT. */
const TRANSPARENT = { 4: { level: 0, name: 19 }, 6: { level: 41, name: 75 } } as const;
/** A round of 511 clusters, at what the kernel counts for a small packet. */
const SEND_BUFFER_BYTES = 4 * 1024 * 1024;
const BATCH_MIN = 16;

/** Throws `permission_denied` without CAP_NET_RAW. */
export function openEchoSocket(options: EchoSocketOptions): EchoSocket {
  const { family, ifindex, source } = options;
  const socket = openSocket({
    domain: family === 4 ? AF_INET : AF_INET6,
    type: SOCK_RAW,
    protocol: PROTOCOL[family],
    name: family === 4 ? "ICMP" : "ICMPv6",
  });
  try {
    socket.setOption(SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES);
    // Nobody reads: a raw socket is given copies of what the stack receives, and drops them.
    socket.setOption(SOL_SOCKET, SO_RCVBUF, 0);
    socket.setOption(SOL_SOCKET, SO_BINDTOIFINDEX, ifindex);
    // Behind another plugin the address may be no device's of this node, yet is routed here.
    socket.setOption(TRANSPARENT[family].level, TRANSPARENT[family].name, 1);
    socket.bind(socketAddress(source));
  } catch (error) {
    socket.close();
    throw error;
  }
  let batch = createSlots(BATCH_MIN);
  return {
    send(requests, { sentNs, onUnsent }) {
      if (requests.length > batch.messages.capacity) {
        batch = createSlots(2 ** Math.ceil(Math.log2(requests.length)));
      }
      for (const [index, request] of requests.entries()) {
        batch.write(index, { request, family, sentNs });
      }
      const { refused, unsent } = socket.sendBatch(batch.messages, requests.length);
      for (const { index } of refused) onUnsent(index);
      for (let i = requests.length - unsent; i < requests.length; i++) onUnsent(i);
    },
    close: () => socket.close(),
  };
}

interface Slots {
  readonly messages: MessageBatch;
  write(
    index: number,
    message: { readonly request: EchoRequest; readonly family: Family; readonly sentNs: bigint },
  ): void;
}

/** Memory for one round; a message that goes where its place's last one went keeps its address. */
function createSlots(capacity: number): Slots {
  const payloadBytes = HEADER_BYTES + probePayloadCodec.size;
  const messages = createMessageBatch({ capacity, payloadBytes });
  const memories: Memory[] = [];
  const addresses: string[] = [];
  return {
    messages,
    write(index, { request, family, sentNs }) {
      const memory = (memories[index] ??= memoryOf(messages.payload(index)));
      if (addresses[index] !== request.address) {
        messages.address(index, socketAddress(request.address), payloadBytes);
        addresses[index] = request.address;
      }
      writeEchoRequest(memory, { request, family, sentNs });
    },
  };
}

function memoryOf(bytes: Uint8Array): Memory {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** The kernel fills in the checksum of ICMPv6, since only it knows both addresses. */
export function writeEchoRequest(
  memory: Memory,
  message: { readonly request: EchoRequest; readonly family: Family; readonly sentNs: bigint },
): void {
  const { cookie, target, sequence } = message.request;
  const { view } = memory;
  view.setUint8(0, ECHO_REQUEST[message.family]);
  view.setUint8(1, 0);
  view.setUint16(2, 0);
  view.setUint16(4, target & 0xffff);
  view.setUint16(6, sequence & 0xffff);
  probePayloadCodec.encode({ cookie, sentNs: message.sentNs, target, sequence }, memory, 8);
  if (message.family === 4) view.setUint16(2, internetChecksum(view));
}

/** RFC 1071, of an even number of bytes. */
export function internetChecksum(view: DataView): number {
  let sum = 0;
  for (let offset = 0; offset < view.byteLength; offset += 2) sum += view.getUint16(offset);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}
