// A program inside a test's pod or node. `serve HOST...` answers TCP with "HELLO client-address"
// and a long answer's worth of bytes until its stdin closes; `ask HOST` prints what it was told, `ask-udp HOST` what its
// connected UDP socket was told;
// `send TO FROM TTL` sends one datagram; `raw TO HEX...` sends VXLAN datagrams with these bytes;
// `capture HOST` prints the first VXLAN datagram for HOST as hexadecimal digits;
// `probe SOURCE IFINDEX COOKIE TARGET TO...` sends probes as the agent does, prints how many left.
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { openEchoSocket } from "../../agent/health/echo-socket.ts";

const PORT = 7000;
const VXLAN_PORT = 8472;
/** Many segments, so that offloads and full-size packets are on the path. */
const ANSWER_BYTES = 300_000;
/** Only a broken datapath needs it. */
const TIMEOUT_MS = 60_000;

const [verb, host = "", ...rest] = process.argv.slice(2);
if (verb === "serve") serve([host, ...rest]);
else if (verb === "ask") ask();
else if (verb === "ask-udp") askUdp();
else if (verb === "send") send();
else if (verb === "raw") raw();
else if (verb === "probe") probe();
else capture();

function serve(hosts: readonly string[]): void {
  let waiting = hosts.length;
  for (const address of hosts) {
    const server = createServer((socket) => {
      socket.end(`HELLO ${socket.remoteAddress} `.padEnd(ANSWER_BYTES, "."));
    });
    server.listen(PORT, address, () => {
      if (--waiting === 0) process.stdout.write("ready\n");
    });
  }
  process.stdin.on("end", () => process.exit(0)).resume();
}

function ask(): void {
  const socket = connect({ host, port: PORT, timeout: TIMEOUT_MS });
  let answer = "";
  socket.on("data", (data) => (answer += data.toString()));
  socket.on("timeout", () => socket.destroy(new Error("no answer")));
  socket.on("error", (error) => process.stdout.write(error.message));
  socket.on("end", () => {
    const [greeting = "", address = ""] = answer.split(" ");
    process.stdout.write(answer.length === ANSWER_BYTES ? `${greeting} ${address}` : "cut short");
  });
}

function askUdp(): void {
  const type = host.includes(":") ? "udp6" : "udp4";
  const socket = createSocket({ type, signal: AbortSignal.timeout(TIMEOUT_MS) });
  let told = "no answer";
  const tell = (what: string): void => {
    told = what;
    socket.close();
  };
  socket.on("message", (data) => tell(data.toString()));
  socket.on("error", (error) => tell(error.message));
  socket.on("close", () => process.stdout.write(told));
  socket.connect(PORT, host, () => socket.send("?"));
}

function send(): void {
  const [from, ttl] = rest;
  const socket = createSocket("udp4");
  socket.bind(0, from, () => {
    socket.setTTL(Number(ttl));
    socket.send("?", PORT, host, () => socket.close());
  });
}

function raw(): void {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  let waiting = rest.length;
  for (const hex of rest)
    socket.send(Buffer.from(hex, "hex"), VXLAN_PORT, host, () => {
      if (--waiting === 0) socket.close();
    });
}

function probe(): void {
  const [ifindex, cookie = "", target, ...addresses] = rest;
  const family = host.includes(":") ? 6 : 4;
  const socket = openEchoSocket({ family, ifindex: Number(ifindex), source: host });
  const requests = addresses.map((address, i) => ({
    address,
    cookie: BigInt(cookie),
    target: Number(target),
    sequence: i + 1,
  }));
  let left = requests.length;
  socket.send(requests, { sentNs: process.hrtime.bigint(), onUnsent: () => void left-- });
  socket.close();
  process.stdout.write(String(left));
}

function capture(): void {
  const socket = createSocket("udp4");
  socket.on("message", (datagram) => {
    process.stdout.write(datagram.toString("hex"));
    socket.close();
  });
  socket.bind(VXLAN_PORT, host, () => process.stdout.write("ready\n"));
  process.stdin.on("end", () => process.exit(0)).resume();
}
