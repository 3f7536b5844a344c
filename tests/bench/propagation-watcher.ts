// Child process of propagation.ts: a bare watch of the remote etcd that notes when it is told of
// each change. The change's number is the identity in the record.
//
//   node propagation-watcher.ts ETCD_ENDPOINT PREFIX
import { Etcd3 } from "etcd3";
import { serveParent, type Arrivals } from "./stopwatch.ts";

const [endpoint = "", prefix = ""] = process.argv.slice(2);
const arrivals: Arrivals = new Map();
const client = new Etcd3({ hosts: endpoint });
const watcher = await client.watch().prefix(prefix).create();
watcher.on("put", ({ value }) => {
  const now = process.hrtime.bigint();
  const { ID } = JSON.parse(value.toString()) as { ID: number };
  arrivals.set(ID, now);
});
await serveParent(arrivals);
// Cancelling waits for an answer that does not always come; the process ends anyway.
process.exit(0);
