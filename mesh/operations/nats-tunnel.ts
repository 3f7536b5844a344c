// The near end of a tunnel to NATS: the client library wants a port to connect to, so there is one,
// on loopback, for as long as it takes one client to come that knows the token. Everybody else on
// this machine who finds the port is let go before the far end hears of him.
import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { withTimeout, type Clock } from "../core/clock.ts";
import { parseLine, readLine } from "./nats-lines.ts";
import { endedWith } from "./work-limits.ts";

/** Opens a stream that speaks NATS: `bridgeNats()` is at its other end. */
export type OpenBridge = (signal: AbortSignal) => Promise<Duplex>;

export interface NatsTunnel {
  /** `127.0.0.1:PORT`, for one client. */
  readonly server: string;
  /** What it proves itself with; the far end never sees it. */
  readonly token: string;
  /** Ends everything, also what runs through it. Idempotent. */
  close(): void;
}

/** A command starts in a pod in a second or two; on a machine that is very busy, in ten. */
const OPEN_LIMIT_MS = 30_000;
const TOKEN_BYTES = 32;

/**
 * Resolves when the far end has spoken with the server. Throws what the far end could not, or
 * `deadline_exceeded`.
 */
export async function openNatsTunnel(
  openBridge: OpenBridge,
  { what, clock, signal }: { what: string; clock: Clock; signal: AbortSignal },
): Promise<NatsTunnel> {
  const work = async (inner: AbortSignal): Promise<{ bridge: Duplex; info: string }> => {
    const bridge = await openBridge(inner);
    bridge.on("error", () => {}); // Told by whoever waits for it; later it is the client's end.
    try {
      return { bridge, info: await endedWith(readLine(bridge), inner) };
    } catch (error) {
      bridge.destroy();
      throw error;
    }
  };
  const limits = { ms: OPEN_LIMIT_MS, what: `Cannot ${what}`, clock, signal };
  const { bridge, info } = await withTimeout(work, limits);
  try {
    return await listenOnce(bridge, info);
  } catch (error) {
    bridge.destroy();
    throw error;
  }
}

async function listenOnce(bridge: Duplex, info: string): Promise<NatsTunnel> {
  const token = randomBytes(TOKEN_BYTES).toString("hex");
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // It closes, which is all there is to know.
    socket.once("close", () => sockets.delete(socket));
    void serve(socket).catch(() => socket.destroy());
  });
  let taken = false;

  async function serve(socket: Socket): Promise<void> {
    socket.setNoDelay(true);
    socket.write(`${info}\r\n`);
    const { auth_token: given, ...rest } = parseLine("CONNECT", await readLine(socket));
    if (taken || !isToken(given, token)) {
      socket.destroy();
      return;
    }
    taken = true;
    server.close();
    bridge.write(`CONNECT ${JSON.stringify(rest)}\r\n`);
    await Promise.allSettled([
      pipeline(socket, bridge).finally(() => bridge.destroy()),
      pipeline(bridge, socket).finally(() => socket.destroy()),
    ]);
  }

  const port = await listen(server);
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
    bridge.destroy();
  };
  bridge.once("close", close);
  return { server: `127.0.0.1:${port}`, token, close };
}

function isToken(given: unknown, token: string): boolean {
  if (typeof given !== "string") return false;
  const [one, other] = [Buffer.from(given), Buffer.from(token)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}
