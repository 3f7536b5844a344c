// The lab's prober: echoes on ports of both families, and finds out which others answer. Told what
// to ask by JSON lines on its standard input, it answers each with a line on its standard output.
// All targets of a line are asked at the same time, so that those who never answer cost one limit.
//
//   node prober.ts --listen TCP:8080 --listen UDP:53
//   ← {"ready":true}
//   → {"id":1,"limitMs":800,"targets":[{"protocol":"TCP","address":"10.1.1.5","port":8080}]}
//   ← {"id":1,"answered":[true]}
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ping } from "./ping.ts";

interface Target {
  readonly protocol: "TCP" | "UDP" | "ICMP" | "ICMPv6";
  readonly address: string;
  /** Not of ICMP, which is asked by echo requests. */
  readonly port: number;
  /** Sent from this address; the kernel's choice by default. */
  readonly from?: string;
}

interface Order {
  readonly id: number;
  readonly limitMs: number;
  readonly targets: readonly Target[];
}

const { values } = parseArgs({
  options: {
    listen: { type: "string", multiple: true },
    // Of a host with several: an answer over UDP must come from the one that was asked.
    address: { type: "string", multiple: true },
  },
});

async function listen(what: string): Promise<void> {
  const [protocol, portText] = what.split(":");
  const port = Number(portText);
  if (protocol === "TCP") await listenTcp(port);
  else await Promise.all((values.address ?? ["::"]).map((address) => listenUdp(address, port)));
}

function listenTcp(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // A client that goes away is no business of the server's.
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.pipe(socket);
    });
    server.once("error", reject);
    server.listen({ port, host: "::", backlog: 1024 }, resolve);
  });
}

function listenUdp(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.once("error", reject);
    socket.on("message", (message, from) => socket.send(message, from.port, from.address));
    socket.bind(port, address, resolve);
  });
}

function ask(target: Target, signal: AbortSignal): Promise<boolean> {
  if (target.protocol === "TCP") return askTcp(target, signal);
  if (target.protocol === "UDP") return askUdp(target, signal);
  return ping(target.address, target.from ?? "", signal);
}

/** Whether a connection is made; a refusal is an answer of somebody else's. */
function askTcp({ address, port, from }: Target, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({
      host: address,
      port,
      ...(from === undefined ? {} : { localAddress: from }),
    });
    const end = (answered: boolean): void => {
      signal.removeEventListener("abort", onLate);
      // Leaves nothing behind that waits, on either side.
      if (answered) socket.resetAndDestroy();
      else socket.destroy();
      resolve(answered);
    };
    const onLate = (): void => end(false);
    signal.addEventListener("abort", onLate);
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}

function askUdp({ address, port, from }: Target, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    let ended = false;
    const end = (answered: boolean): void => {
      if (ended) return;
      ended = true;
      signal.removeEventListener("abort", onLate);
      socket.close();
      resolve(answered);
    };
    const onLate = (): void => end(false);
    signal.addEventListener("abort", onLate);
    socket.on("message", () => end(true));
    socket.on("error", () => end(false));
    const send = (): void => socket.connect(port, address, () => socket.send("?"));
    if (from === undefined) send();
    else socket.bind({ address: from }, send);
  });
}

function say(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

await Promise.all((values.listen ?? []).map(listen));
say({ ready: true });

const orders = createInterface({ input: process.stdin });
orders.on("line", (line) => {
  const { id, limitMs, targets } = JSON.parse(line) as Order;
  const late = AbortSignal.timeout(limitMs);
  void Promise.all(targets.map((target) => ask(target, late))).then((answered) => {
    say({ id, answered });
  });
});
// Whoever started it is gone.
orders.on("close", () => process.exit(0));
