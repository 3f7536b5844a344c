// Child process of kubernetes.ts: the plainest watch of the slices that there is, which notes when
// it is told of each change.
//
//   node kubernetes-watcher.ts PORT TOKEN PATH
import { request } from "node:https";
import { serveParent, type Arrivals } from "./stopwatch.ts";

const [port = "", token = "", path = ""] = process.argv.slice(2);
const arrivals: Arrivals = new Map();
const watch = request(
  {
    host: "127.0.0.1",
    port,
    path: `${path}?watch=1`,
    rejectUnauthorized: false,
    headers: { authorization: `Bearer ${token}` },
  },
  (response) => {
    let rest = "";
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      const now = process.hrtime.bigint();
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const { object } = JSON.parse(line) as {
          object: { endpoints: { addresses: string[] }[] };
        };
        const [, a = 0, b = 0, c = 0] = (object.endpoints[0]?.addresses[0] ?? "")
          .split(".")
          .map(Number);
        arrivals.set(((a & 127) << 16) | (b << 8) | c, now);
      }
    });
  },
);
watch.end();
await serveParent(arrivals);
process.exit(0);
