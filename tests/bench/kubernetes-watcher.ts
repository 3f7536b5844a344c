// Child process of kubernetes.ts: the plainest watch of the slices that there is, which notes when
// it is told of each change. A server that is behind ends watches: it goes on where it was.
//
//   node kubernetes-watcher.ts PORT TOKEN PATH
import { request } from "node:https";
import { changeOfText } from "./kubernetes-load.ts";
import { serveParent, type Arrivals } from "./stopwatch.ts";

interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly metadata: { readonly resourceVersion: string };
    readonly endpoints: readonly { readonly addresses: readonly string[] }[];
  };
}

const [port = "", token = "", path = ""] = process.argv.slice(2);
const arrivals: Arrivals = new Map();
let version = "";

function watch(): void {
  const options = {
    host: "127.0.0.1",
    port,
    path: `${path}?watch=1&resourceVersion=${version}`,
    rejectUnauthorized: false,
    headers: { authorization: `Bearer ${token}` },
  };
  request(options, (response) => {
    let rest = "";
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      const now = process.hrtime.bigint();
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) note(JSON.parse(line) as WatchEvent, now);
    });
    response.on("end", watch);
  }).end();
}

function note({ type, object }: WatchEvent, now: bigint): void {
  // The version is not kept any more: from what is there now.
  version = type === "ERROR" ? "" : object.metadata.resourceVersion;
  if (type === "ERROR") return;
  const change = changeOfText(object.endpoints[0]?.addresses[0] ?? "");
  if (change !== undefined && !arrivals.has(change)) arrivals.set(change, now);
}

watch();
await serveParent(arrivals);
process.exit(0);
