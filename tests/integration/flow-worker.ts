// One network namespace of flow-program.ts: a thread that lives in there. It serves (TCP and UDP,
// each message comes back) or keeps connections and says what becomes of them.
import { createSocket } from "node:dgram";
import { closeSync, openSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { enterNetworkNamespace } from "../../bpf/socket.ts";

export interface FlowOrder {
  readonly do: "serve" | "open" | "say";
  readonly group: string;
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  readonly count: number;
}

/** What happened to one flow of a group; times are Date.now(). */
export interface FlowEvent {
  readonly group: string;
  readonly what: "serving" | "connecting" | "connected" | "echo" | "error" | "close";
  readonly code: string;
  readonly atMs: number;
}

const namespace = openSync(workerData as string, "r");
enterNetworkNamespace(namespace);
closeSync(namespace);

interface Flow {
  readonly group: string;
  say(): void;
}
const flows: Flow[] = [];

const tell = (group: string, what: FlowEvent["what"], code = ""): void =>
  parentPort?.postMessage({ group, what, code, atMs: Date.now() } satisfies FlowEvent);
const failed = (group: string) => (error: NodeJS.ErrnoException) =>
  tell(group, "error", error.code ?? "?");

parentPort?.on("message", (order: FlowOrder) => {
  if (order.do === "serve") serve(order);
  if (order.do === "say") for (const flow of flows) if (flow.group === order.group) flow.say();
  if (order.do !== "open") return;
  for (let i = 0; i < order.count; i++) {
    if (order.protocol === "tcp") openTcp(order);
    else openUdp(order);
  }
});

function serve({ group, host, port }: FlowOrder): void {
  const tcp = createServer((socket) => {
    socket.on("error", () => {}); // What becomes of flows is seen at the other end.
    socket.pipe(socket);
  });
  const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
  udp.on("message", (message, from) => udp.send(message, from.port, from.address));
  udp.bind(port, host, () => tcp.listen(port, host, () => tell(group, "serving")));
}

function openTcp({ group, host, port }: FlowOrder): void {
  const socket: Socket = connect({ host, port });
  tell(group, "connecting");
  socket.on("connect", () => tell(group, "connected"));
  socket.on("data", () => tell(group, "echo"));
  socket.on("error", failed(group));
  socket.on("close", () => tell(group, "close"));
  flows.push({ group, say: () => void socket.write("?") });
}

function openUdp({ group, host, port }: FlowOrder): void {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.on("message", () => tell(group, "echo"));
  socket.on("error", failed(group));
  socket.connect(port, host, () => tell(group, "connected"));
  flows.push({ group, say: () => socket.send("?", (error) => error && failed(group)(error)) });
}
