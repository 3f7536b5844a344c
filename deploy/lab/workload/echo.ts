// The lab's server: answers each line (TCP) and each datagram (UDP) with its own name, over IPv4
// and IPv6. Writes the ready file once both sockets listen, as a readiness probe would find out.
//
//   node echo.ts --name east/cart-1 --port 8080 [--ready-file PATH]
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { parseArgs } from "node:util";

/** A request is one short line; whoever sends more is cut off. */
const LINE_MAX_BYTES = 1024;

const { values } = parseArgs({
  options: { name: { type: "string" }, port: { type: "string" }, "ready-file": { type: "string" } },
});
const port = Number(values.port ?? "8080");
const answer = `${values.name ?? "echo"}\n`;

const server = createServer((socket) => {
  let pending = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (pending + chunk).split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > LINE_MAX_BYTES) socket.destroy();
    else if (lines.length > 0) socket.write(answer.repeat(lines.length));
  });
  // A client that goes away is no business of the server's.
  socket.on("error", () => socket.destroy());
});

const datagrams = createSocket({ type: "udp6", ipv6Only: false });
datagrams.on("message", (_message, from) => datagrams.send(answer, from.port, from.address));

await Promise.all([
  new Promise<void>((resolve) => server.listen({ port, host: "::", backlog: 1024 }, resolve)),
  new Promise<void>((resolve) => datagrams.bind(port, "::", resolve)),
]);
if (values["ready-file"] !== undefined) writeFileSync(values["ready-file"], "ready\n");
process.once("SIGTERM", () => process.exit(0));
