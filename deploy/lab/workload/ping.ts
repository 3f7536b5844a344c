// Echo requests of the lab's prober: who answers them is who lets ICMP through. Raw sockets, one a
// family and sender's address, read every few milliseconds while an answer is awaited.
//
//   +------+------+----------+----+----------+
//   | type | code | checksum | id | sequence |   RFC 792, RFC 4443 section 4.1
//   |  1   |  1   |    2     | 2  |    2     |
//   +------+------+----------+----+----------+
import {
  AF_INET,
  AF_INET6,
  openSocket,
  SOCK_RAW,
  socketAddress,
  type Socket,
} from "../../../bpf/socket.ts";

const ECHO = {
  4: { domain: AF_INET, protocol: 1, request: 8, reply: 0 },
  6: { domain: AF_INET6, protocol: 58, request: 128, reply: 129 },
} as const;
const MESSAGE_BYTES = 8;
const LOOK_MS = 4;
const ID = process.pid & 0xffff;

interface Way {
  readonly family: 4 | 6;
  readonly socket: Socket;
  readonly waiting: Map<number, () => void>;
  sequence: number;
  /** Runs while somebody waits. */
  looking: NodeJS.Timeout | undefined;
}

const ways = new Map<string, Way>();
const buffer = new Uint8Array(2_048);

/** Whether the address answers before the signal aborts. */
export function ping(address: string, from: string, signal: AbortSignal): Promise<boolean> {
  const way = wayOf(address.includes(":") ? 6 : 4, from);
  const sequence = (way.sequence = (way.sequence + 1) & 0xffff);
  return new Promise((resolve) => {
    const end = (answered: boolean): void => {
      way.waiting.delete(sequence);
      if (way.waiting.size === 0) {
        clearInterval(way.looking);
        way.looking = undefined;
      }
      signal.removeEventListener("abort", onLate);
      resolve(answered);
    };
    const onLate = (): void => end(false);
    signal.addEventListener("abort", onLate);
    way.waiting.set(sequence, () => end(true));
    way.looking ??= setInterval(() => read(way), LOOK_MS);
    try {
      way.socket.send(echoRequest(way.family, sequence), socketAddress(address));
    } catch {
      // No route: nobody answers.
      end(false);
    }
  });
}

/** `from` is "" for the kernel's choice. */
function wayOf(family: 4 | 6, from: string): Way {
  const key = `${family} ${from}`;
  const known = ways.get(key);
  if (known !== undefined) return known;
  const { domain, protocol } = ECHO[family];
  const socket = openSocket({ domain, type: SOCK_RAW, protocol, name: "ICMP" });
  if (from !== "") socket.bind(socketAddress(from));
  const sequence = ways.size * 1_000;
  const way: Way = { family, socket, waiting: new Map(), sequence, looking: undefined };
  ways.set(key, way);
  return way;
}

function read({ family, socket, waiting }: Way): void {
  for (;;) {
    const length = socket.receive(buffer);
    if (length === undefined) return;
    // IPv4's raw sockets get the header, too.
    const start = family === 4 ? ((buffer[0] ?? 0) & 0xf) * 4 : 0;
    if (length < start + MESSAGE_BYTES) continue;
    const view = new DataView(buffer.buffer, start, MESSAGE_BYTES);
    if (view.getUint8(0) !== ECHO[family].reply || view.getUint16(4) !== ID) continue;
    waiting.get(view.getUint16(6))?.();
  }
}

function echoRequest(family: 4 | 6, sequence: number): Uint8Array {
  const message = new Uint8Array(MESSAGE_BYTES);
  const view = new DataView(message.buffer);
  view.setUint8(0, ECHO[family].request);
  view.setUint16(4, ID);
  view.setUint16(6, sequence);
  // Of ICMPv6 the kernel does it: it knows both addresses.
  if (family === 4) {
    const sum = (ECHO[4].request << 8) + ID + sequence;
    view.setUint16(2, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
  }
  return message;
}
