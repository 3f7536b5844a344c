// Closes the sockets of an attempt to connect that has failed. The library of NATS forgets one that
// is connected to a server which says nothing (nats 2.29, node_transport.js: `close` does nothing
// before the handshake is over). A server that hangs for hours would cost a daemon a descriptor
// with every attempt, and a command would not end.
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { endedWith } from "./work-limits.ts";

export interface Dialling<T> {
  readonly dial: () => Promise<T>;
  /** For one that comes after the signal has aborted. */
  readonly close: (late: T) => unknown;
}

/** Node tells of every TCP client under this name. */
const CHANNEL = "net.client.socket";

/** What `dial` gives; if that fails or the signal aborts, all that it opens is closed. */
export async function dialWhole<T>({ dial, close }: Dialling<T>, signal: AbortSignal): Promise<T> {
  const attempt = new AsyncLocalStorage<true>();
  const sockets: Socket[] = [];
  let hasFailed = false;
  const onSocket = (message: unknown): void => {
    // Others connect meanwhile, too.
    if (attempt.getStore() !== true) return;
    const { socket } = message as { readonly socket: Socket };
    if (hasFailed) socket.destroy();
    else sockets.push(socket);
  };
  subscribe(CHANNEL, onSocket);
  const dialling = attempt.run(true, dial);
  const settled = (): void => {
    unsubscribe(CHANNEL, onSocket);
  };
  dialling.then(settled, settled);
  try {
    return await endedWith(dialling, signal);
  } catch (error) {
    hasFailed = true;
    for (const socket of sockets) socket.destroy();
    dialling.then(close, () => {}); // It failed, which is what is thrown.
    throw error;
  }
}
