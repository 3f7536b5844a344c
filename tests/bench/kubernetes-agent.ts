// Child process of kubernetes.ts: the whole agent but its routes, on real maps, that notes when
// each change can be chosen: when the system call that wrote a slot with its backend has returned.
//
//   node kubernetes-agent.ts CLUSTER_DIRECTORY ETCD_ENDPOINT DIRECTORY
import { createAgent } from "../../agent/agent.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { systemRandom } from "../../mesh/core/backoff.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createEtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { pkiPaths } from "../../pki/files.ts";
import { createBenchDatapath } from "./bench-datapath.ts";
import { OWN_CLUSTER, OWN_NODE } from "./endpoints.ts";
import { changeOfAddress } from "./kubernetes-load.ts";
import { benchLogger } from "./mirror.ts";
import { serveParent, type Arrivals } from "./stopwatch.ts";

const [clusterDirectory = "", endpoint = "", directory = ""] = process.argv.slice(2);
const arrivals: Arrivals = new Map();
const changeOfBackend = new Map<number, number>();
const node = await createBenchDatapath(directory);
try {
  await runAgent();
} finally {
  await node.remove();
}

async function runAgent(): Promise<void> {
  const pki = pkiPaths(clusterPaths(clusterDirectory).pki);
  const store = createEtcdStore({
    endpoints: [endpoint],
    tls: { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey },
    serverName: meshServerName(OWN_CLUSTER.name),
    clock: systemClock,
    random: systemRandom,
    log: benchLogger,
  });
  const { maps } = node.datapath;
  const end = new AbortController();
  const agent = createAgent({
    config: {
      cluster: OWN_CLUSTER,
      nodeName: OWN_NODE.name,
      overlay: { device: "unused", port: 8472, underlayMtu: 1_500 },
    },
    store,
    maps: {
      ...maps,
      backends: afterPuts(maps.backends, (rows) => {
        for (const [{ backendId }, { address }] of rows) {
          changeOfBackend.set(backendId, changeOfAddress(address));
        }
      }),
      backendSlots: afterPuts(maps.backendSlots, (rows) => {
        const now = process.hrtime.bigint();
        for (const [, { backendId }] of rows) {
          const change = changeOfBackend.get(backendId);
          if (change !== undefined && !arrivals.has(change)) arrivals.set(change, now);
        }
      }),
    },
    clusterState: maps.clusterState,
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
}

/** The same map; `note` is called when rows have been written. */
function afterPuts<K, V>(
  map: BpfMap<K, V>,
  note: (rows: readonly (readonly [K, V])[]) => void,
): BpfMap<K, V> {
  return new Proxy(map, {
    get(target, property) {
      if (property === "putBatch") {
        return (rows: Iterable<readonly [K, V]>): void => {
          const all = [...rows];
          target.putBatch(all);
          note(all);
        };
      }
      if (property === "put") {
        return (key: K, value: V): void => {
          target.put(key, value);
          note([[key, value]]);
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
