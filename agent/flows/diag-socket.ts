// One network namespace's sockets, listed and ended through a NETLINK_SOCK_DIAG socket that was
// opened in there. It needs no process in the namespace and does not wait: the kernel answers
// within the system call.
import { constants } from "node:os";
import { errorFromResult } from "../../bpf/errno.ts";
import { AF_NETLINK, openSocket, SOCK_RAW, type Socket } from "../../bpf/socket.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import {
  decodeMessages,
  encodeDestruction,
  encodeListing,
  NETLINK_SOCK_DIAG,
  type DiagMessage,
  type DiagnosedSocket,
  type SocketListing,
} from "./sock-diag.ts";

/** What the kernel fills at most when it lists, and so the fewest system calls. */
const DATAGRAM_BYTES = 32_768;
/**
 * Sockets ended in one system call: their answers, of some 800 bytes of the kernel's memory each,
 * fit into a receive buffer of the smallest usual size (208 KiB).
 */
const DESTROYED_AT_ONCE = 64;

export interface Destruction {
  /** The others ended by themselves between listing and now, or could not be ended. */
  readonly destroyed: readonly DiagnosedSocket[];
  readonly errors: readonly MeshError[];
}

export interface DiagSocket extends Disposable {
  list(listing: SocketListing): DiagnosedSocket[];
  /** All of one protocol. */
  destroy(sockets: readonly DiagnosedSocket[]): Destruction;
  close(): void;
}

/** In the calling thread's network namespace. */
export function openDiagSocket(): Socket {
  return openSocket({
    domain: AF_NETLINK,
    type: SOCK_RAW,
    protocol: NETLINK_SOCK_DIAG,
    name: "sock_diag",
  });
}

/** Takes the socket over. */
export function createDiagSocket(socket: Socket): DiagSocket {
  const buffer = new Uint8Array(new ArrayBuffer(DATAGRAM_BYTES));
  let lastSequence = 0;

  function* messages(
    protocol: DiagnosedSocket["protocol"],
    first: number,
  ): IterableIterator<DiagMessage> {
    for (;;) {
      const length = socket.receive(buffer);
      if (length === undefined) return;
      for (const message of decodeMessages(buffer.subarray(0, length), protocol)) {
        // What is older was left by a call that has thrown.
        if (message.sequence >= first) yield message;
      }
    }
  }

  function destroyChunk(sockets: readonly DiagnosedSocket[]): Destruction {
    const [{ protocol } = { protocol: "TCP" as const }] = sockets;
    const first = lastSequence + 1;
    lastSequence += sockets.length;
    socket.send(encodeDestruction(sockets, first));
    const destroyed: DiagnosedSocket[] = [];
    const errors: MeshError[] = [];
    for (const message of messages(protocol, first)) {
      const ended = sockets[message.sequence - first];
      if (message.kind !== "end" || ended === undefined) continue;
      if (message.errno === 0) destroyed.push(ended);
      else if (message.errno !== -constants.errno.ENOENT)
        errors.push(diagError("Cannot end socket", message.errno));
    }
    return { destroyed, errors };
  }

  return {
    list(listing) {
      const sequence = ++lastSequence;
      socket.send(encodeListing(listing, sequence));
      const found: DiagnosedSocket[] = [];
      for (const message of messages(listing.protocol, sequence)) {
        if (message.kind === "socket") found.push(message.socket);
        else if (message.errno < 0) throw diagError("Cannot list sockets", message.errno);
      }
      return found;
    },
    destroy(sockets) {
      const parts: Destruction[] = [];
      for (let start = 0; start < sockets.length; start += DESTROYED_AT_ONCE) {
        parts.push(destroyChunk(sockets.slice(start, start + DESTROYED_AT_ONCE)));
      }
      return {
        destroyed: parts.flatMap(({ destroyed }) => destroyed),
        errors: parts.flatMap(({ errors }) => errors),
      };
    },
    close: () => socket.close(),
    [Symbol.dispose]: () => socket.close(),
  };
}

function diagError(action: string, errno: number): MeshError {
  const { code, message } = errorFromResult(action, errno);
  const hint =
    code === "unsupported"
      ? { hint: "the kernel needs CONFIG_INET_DIAG_DESTROY and CONFIG_INET_UDP_DIAG" }
      : {};
  return new MeshError(code, message, hint);
}
