// The far end of a tunnel to NATS, beside the server: speaks TLS with the cluster's certificate on
// one side and plain NATS with whoever started it on the other, so the key stays where it is.
//
//   nats-server ◄──TLS, certificate──► bridgeNats() ◄── standard streams ──► openNatsTunnel()
import { readFile } from "node:fs/promises";
import { connect as connectTcp, type Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import { parseLine, readLine } from "./nats-lines.ts";
import { endedWith } from "./work-limits.ts";

export interface BridgedServer {
  /** `ADDRESS:PORT`. */
  readonly server: string;
  readonly tls: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
  /** Under which name the server is verified. */
  readonly serverName: string;
}

/** It is on the same machine. */
const CONNECT_LIMIT_MS = 10_000;

/**
 * Resolves when either side has ended, or the signal is aborted. Throws `unavailable` when there is
 * no server, or none that wants certificates.
 */
export async function bridgeNats(
  place: BridgedServer,
  ends: { readonly input: Readable; readonly output: Writable; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const { server } = place;
  const { input, output, clock } = ends;
  let secure: TLSSocket;
  let info: object;
  try {
    ({ secure, info } = await withTimeout((inner) => openServer(place, inner), {
      ms: CONNECT_LIMIT_MS,
      what: `Cannot connect to NATS at ${server}`,
      clock,
      signal,
    }));
  } catch (cause) {
    const codes = ["aborted", "deadline_exceeded"] as const;
    if (codes.some((code) => isMeshError(cause, code))) throw cause;
    const reason = messageFromError(cause);
    throw new MeshError("unavailable", `Cannot connect to NATS at ${server}: ${reason}`);
  }
  const onAbort = (): void => void secure.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  // One side that ends takes the other with it; why is told to nobody who still listens.
  const ended = [
    pipeline(secure, output, { end: false }).finally(() => input.destroy()),
    pipeline(input, secure).finally(() => secure.destroy()),
  ];
  try {
    // TLS is over behind us.
    output.write(`INFO ${JSON.stringify({ ...info, tls_required: false, tls_verify: false })}\r\n`);
    await Promise.allSettled(ended);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function openServer(
  { server, tls, serverName }: BridgedServer,
  signal: AbortSignal,
): Promise<{ secure: TLSSocket; info: object }> {
  const [ca, cert, key] = await Promise.all(
    [tls.caFile, tls.certFile, tls.keyFile].map((file) => readFile(file)),
  );
  const { hostname, port } = new URL(`tcp://${server}`);
  const socket = connectTcp(Number(port), hostname.replace(/^\[(.*)\]$/, "$1"));
  try {
    const info = parseLine("INFO", await endedWith(readLine(socket), signal));
    if (info["tls_required"] !== true) throw new Error("it wants no certificate");
    const options = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
    const secure = connectTls({ ...options, socket, servername: serverName });
    await endedWith(untilSecure(secure), signal);
    secure.setNoDelay(true);
    return { secure, info };
  } catch (error) {
    closeQuietly(socket);
    throw error;
  }
}

function untilSecure(secure: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    secure.once("secureConnect", () => {
      secure.off("error", reject);
      resolve();
    });
    secure.once("error", reject);
  });
}

function closeQuietly(socket: Socket): void {
  socket.on("error", () => {}); // Why it failed has been said.
  socket.destroy();
}
