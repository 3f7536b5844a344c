// Child process of kubernetes.ts: a bare watch of one prefix in a cluster's etcd, which notes when
// it is told of each change. The change's number is in the address that the value holds.
//
//   node kubernetes-etcd-watcher.ts CLUSTER_DIRECTORY CLUSTER ETCD_ENDPOINT PREFIX
import { readFileSync } from "node:fs";
import { Etcd3 } from "etcd3";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { pkiPaths } from "../../pki/files.ts";
import { changeOfText } from "./kubernetes-load.ts";
import { serveParent, type Arrivals } from "./stopwatch.ts";

const [directory = "", cluster = "", endpoint = "", prefix = ""] = process.argv.slice(2);
const pki = pkiPaths(clusterPaths(directory).pki);
const arrivals: Arrivals = new Map();
const client = new Etcd3({
  hosts: endpoint,
  credentials: {
    rootCertificate: readFileSync(pki.caBundle),
    certChain: readFileSync(pki.adminCertificate),
    privateKey: readFileSync(pki.adminKey),
  },
  grpcOptions: { "grpc.ssl_target_name_override": meshServerName(cluster) },
});
const watcher = await client.watch().prefix(prefix).create();
watcher.on("put", ({ value }) => {
  const now = process.hrtime.bigint();
  const change = changeOfText(value.toString());
  if (change !== undefined && !arrivals.has(change)) arrivals.set(change, now);
});
await serveParent(arrivals);
// Cancelling waits for an answer that does not always come; the process ends anyway.
process.exit(0);
