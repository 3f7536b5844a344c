// Child process of propagation.ts: the apiserver's mirror from the remote etcd to the local one.
//
//   node propagation-mirror.ts REMOTE_ENDPOINT LOCAL_ENDPOINT
import { OWN_CLUSTER, REMOTE_CLUSTER } from "./endpoints.ts";
import { createBenchMirror, openStore } from "./mirror.ts";
import { serveParent } from "./stopwatch.ts";

const [peerEndpoint = "", ownEndpoint = ""] = process.argv.slice(2);
const ownStore = openStore(ownEndpoint);
const end = new AbortController();
const mirror = createBenchMirror({
  own: OWN_CLUSTER,
  peer: REMOTE_CLUSTER.name,
  ownStore,
  peerEndpoint,
});
const running = mirror.run(end.signal);
await serveParent(new Map());
end.abort();
await running;
ownStore.close();
