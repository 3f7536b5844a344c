// A program that knows nothing of the mesh: it makes calls and says what it saw. It runs in the
// cgroup under test and takes its orders from the test by IPC; it ends when the test hangs up.
import { createSocket, type SocketType } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";

export interface CallOrder {
  readonly kind: "tcp" | "udp" | "udp-connected";
  readonly host: string;
  readonly port: number;
  readonly times: number;
  /** With "udp-connected": the socket was connected to this peer before. */
  readonly before?: { readonly host: string; readonly port: number };
}

/** What one call showed: the server's answer and the peer's address, or the error's code. */
export type CallOutcome =
  { readonly answer: string; readonly peer: string } | { readonly error: string };

/** So long may an answer take before the call counts as hung; only a broken datapath needs it. */
const CALL_TIMEOUT_MS = 60_000;

process.on("message", (order: CallOrder) => {
  void carryOut(order).then((outcomes) => process.send?.(outcomes));
});

async function carryOut(order: CallOrder): Promise<CallOutcome[]> {
  const outcomes: CallOutcome[] = [];
  for (let i = 0; i < order.times; i++) {
    const call = order.kind === "tcp" ? callTcp(order) : callUdp(order);
    outcomes.push(
      await call.catch((error: NodeJS.ErrnoException) => ({ error: error.code ?? "?" })),
    );
  }
  return outcomes;
}

function callTcp({ host, port }: CallOrder): Promise<CallOutcome> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: CALL_TIMEOUT_MS });
    let peer = "";
    socket.on("connect", () => (peer = `${socket.remoteAddress} ${socket.remotePort}`));
    socket.on("data", (data) => {
      socket.destroy();
      resolve({ answer: data.toString(), peer });
    });
    socket.on("timeout", () => socket.destroy(Object.assign(new Error(), { code: "HUNG" })));
    socket.on("error", reject);
  });
}

async function callUdp({ kind, host, port, before }: CallOrder): Promise<CallOutcome> {
  const type: SocketType = host.includes(":") ? "udp6" : "udp4";
  const socket = createSocket({ type, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  try {
    if (before !== undefined) {
      socket.connect(before.port, before.host);
      await once(socket, "connect");
      socket.disconnect();
    }
    return await new Promise((resolve, reject) => {
      const sent = (error: Error | null): void => {
        if (error) reject(error);
      };
      socket.on("error", reject);
      socket.on("close", () => reject(Object.assign(new Error(), { code: "HUNG" })));
      socket.on("message", (data, from) => {
        const { address, port: fromPort } = kind === "udp" ? from : socket.remoteAddress();
        resolve({ answer: data.toString(), peer: `${address} ${fromPort}` });
      });
      if (kind === "udp") socket.send("?", port, host, sent);
      else
        socket.connect(port, host, (error?: Error) =>
          error ? reject(error) : socket.send("?", sent),
        );
    });
  } finally {
    socket.removeAllListeners("close");
    socket.close();
  }
}
