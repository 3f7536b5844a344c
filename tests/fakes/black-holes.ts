// Addresses on loopback that behave like a dead machine's: a connection to them is neither taken
// nor refused. A listener that is stopped, with a full queue, makes the kernel drop what comes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface BlackHoles {
  readonly ports: readonly number[];
  close(): Promise<void>;
}

const LISTENER = `
const { createServer } = require("node:net");
const servers = Array.from({ length: Number(process.argv[1]) }, () => createServer());
let left = servers.length;
for (const server of servers) {
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    if (--left === 0) console.log(JSON.stringify(servers.map((s) => s.address().port)));
  });
}
`;
/** A queue of one holds two; one more is sure to wait. */
const FILLERS = 3;

export async function startBlackHoles(count: number): Promise<BlackHoles> {
  const child = spawn(process.execPath, ["-e", LISTENER, String(count)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const ports = JSON.parse(line.toString()) as number[];
  child.kill("SIGSTOP");
  const fillers = ports.flatMap((port) =>
    Array.from({ length: FILLERS }, () => connect({ host: "127.0.0.1", port })),
  );
  await Promise.all(fillers.map(filled));
  return {
    ports,
    async close() {
      for (const socket of fillers) socket.destroy();
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** The kernel has taken it, or lets it wait: the last of each port does. */
function filled(socket: Socket, index: number): Promise<unknown> {
  socket.on("error", () => {}); // The end of the test.
  return index % FILLERS === FILLERS - 1 ? Promise.resolve() : once(socket, "connect");
}
