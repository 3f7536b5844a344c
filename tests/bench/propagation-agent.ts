// Child process of propagation.ts: the whole agent but its routes, on real maps, that notes when
// each change has reached the ipcache map. The change's number is in the row's identity.
//
//   node propagation-agent.ts ETCD_ENDPOINT DIRECTORY
import { createAgent } from "../../agent/agent.ts";
import type { IpcacheEntry, IpcacheKey } from "../../bpf/gen/layout.ts";
import type { BpfMap, RowConversion } from "../../bpf/map.ts";
import { systemRandom } from "../../mesh/core/backoff.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createBenchDatapath } from "./bench-datapath.ts";
import { OWN_CLUSTER, OWN_NODE } from "./endpoints.ts";
import { benchLogger, openStore } from "./mirror.ts";
import { serveParent, type Arrivals } from "./stopwatch.ts";

const [endpoint = "", directory = ""] = process.argv.slice(2);
const arrivals: Arrivals = new Map();
const node = await createBenchDatapath(directory);
const store = openStore(endpoint);
const end = new AbortController();
const agent = createAgent({
  config: {
    cluster: OWN_CLUSTER,
    nodeName: OWN_NODE.name,
    overlay: { device: "unused", port: 8472, underlayMtu: 1_500 },
  },
  store,
  maps: { ...node.datapath.maps, ipcache: timed(node.datapath.maps.ipcache) },
  clusterState: node.datapath.maps.clusterState,
  kernelNowNs: () => process.hrtime.bigint(),
  // The benchmark's machine has no nodes to route to.
  createRouteOperations: () => ({
    update: () => Promise.resolve(new Map()),
    delete: () => Promise.resolve(new Map()),
    prune: () => Promise.resolve(),
  }),
  clock: systemClock,
  random: systemRandom,
  log: benchLogger,
});
const running = agent.run(end.signal);
await serveParent(arrivals);
end.abort();
await running;
store.close();
await node.remove();

/** The same map; a row counts as arrived when the system call that wrote it has returned. */
function timed(map: BpfMap<IpcacheKey, IpcacheEntry>): BpfMap<IpcacheKey, IpcacheEntry> {
  return new Proxy(map, {
    get(target, property) {
      if (property === "putRows") {
        return async <R>(
          rows: readonly R[],
          conversion: RowConversion<R, IpcacheKey, IpcacheEntry>,
        ): Promise<void> => {
          await target.putRows(rows, conversion);
          const now = process.hrtime.bigint();
          for (const row of rows) arrivals.set(conversion.toValue(row).identity, now);
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
