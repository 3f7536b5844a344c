// A TCP proxy on loopback that can do to a connection what networks do: pass it on, reset and
// refuse it, or swallow every byte without a word (a black hole).
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface TcpProxy {
  readonly port: number;
  /** Connections taken since the start. */
  readonly accepted: number;
  /** Bytes go through again, also those of new connections only. */
  pass(): Promise<void>;
  /** Resets what is open; new connections pass. Returns how many it were. */
  cut(): number;
  /** Resets what is open and every new connection. */
  refuse(): Promise<void>;
  /** Keeps connections open, takes new ones, and delivers nothing. */
  swallow(): Promise<void>;
  close(): Promise<void>;
}

type Mode = "pass" | "refuse" | "swallow";

export async function startTcpProxy(options: { targetPort: number }): Promise<TcpProxy> {
  let mode: Mode = "pass";
  let accepted = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    accepted++;
    keep(client);
    if (mode === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const target = connect(options.targetPort, "127.0.0.1");
    keep(target);
    forward(client, target);
    forward(target, client);
  });

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy()); // Both ends learn of it by "close".
  }

  function forward(from: Socket, to: Socket): void {
    from.on("data", (data) => {
      if (mode === "pass") to.write(data);
    });
    from.on("close", () => {
      if (mode !== "swallow") to.destroy();
    });
  }

  function setMode(next: Mode): void {
    // What was swallowed is missing for good: such connections cannot go on.
    const broken = mode === "swallow" || next === "refuse";
    mode = next;
    if (broken) for (const socket of sockets) socket.resetAndDestroy();
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    cut() {
      const open = sockets.size;
      for (const socket of sockets) socket.resetAndDestroy();
      return open;
    },
    async pass() {
      setMode("pass");
    },
    async refuse() {
      setMode("refuse");
    },
    async swallow() {
      setMode("swallow");
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
