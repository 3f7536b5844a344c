// Both ends of a call for the tests of socket load balancing: a client process inside the cgroup
// under test, and servers outside of it that answer with their name.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { ROOT } from "../sources.ts";
import { SLOW_MACHINE_MS } from "./scratch.ts";
import type { CallOrder, CallOutcome } from "./socket-client.ts";

export interface Client extends AsyncDisposable {
  call(order: CallOrder): Promise<readonly CallOutcome[]>;
  readonly pid: number;
}

export async function startClient(cgroupPath: string): Promise<Client> {
  const script = join(ROOT, "tests", "bpf", "socket-client.ts");
  // The shell enters the cgroup before the program begins to exist.
  const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
  const child = spawn("/bin/sh", ["-c", enter, cgroupPath, process.execPath, script], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(child, "spawn");
  return {
    pid: child.pid ?? 0,
    async call(order) {
      const answer = once(child, "message", { signal: AbortSignal.timeout(SLOW_MACHINE_MS) });
      child.send(order);
      const [outcomes] = (await answer) as [readonly CallOutcome[]];
      return outcomes;
    },
    async [Symbol.asyncDispose]() {
      const exit = once(child, "exit");
      child.disconnect();
      await exit;
    },
  };
}

export interface Server extends AsyncDisposable {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Answers each TCP connection and each UDP datagram on one port with its name. */
export async function startServer(name: string, host: string): Promise<Server> {
  const tcp = createServer((socket) => {
    socket.on("error", () => {}); // The client has heard enough and hung up.
    socket.end(name);
  });
  tcp.listen(0, host);
  await once(tcp, "listening");
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
  udp.on("message", (_, { address, port: clientPort }) => udp.send(name, clientPort, address));
  udp.bind(port, host);
  await once(udp, "listening");
  return {
    name,
    host,
    port,
    async [Symbol.asyncDispose]() {
      udp.close();
      tcp.close();
      await once(tcp, "close");
    },
  };
}

/** How often each server answered, errors by code. */
export function tally(outcomes: readonly CallOutcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    const name = "error" in outcome ? outcome.error : outcome.answer;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
