// 100,000 endpoints into the node's ipcache map: through the agent's planner and reconciler,
// through the reconciler alone, and by a bare loop of batched system calls over ready bytes.
import { closeSync } from "node:fs";
import { join } from "node:path";
import { createIpcacheOperations } from "../../agent/apply/ipcache-operations.ts";
import { ipcacheMapFromDatapath } from "../../agent/apply/map-adapters.ts";
import { createIpcachePlanner } from "../../agent/desired/ipcache.ts";
import type { Settlement } from "../../agent/desired/settlement.ts";
import type { PeerIntent } from "../../agent/intent/intent.ts";
import { planEndpointIpcache, type IpcacheRow } from "../../agent/plan/plan-ipcache.ts";
import { ipcacheKeyFromPrefix, mapAddressFromAddress } from "../../bpf/address.ts";
import { createMemory } from "../../bpf/codec.ts";
import { ipcacheEntryCodec, ipcacheKeyCodec } from "../../bpf/gen/layout.ts";
import { mapUpdateBatch } from "../../bpf/libbpf.ts";
import { openPin } from "../../bpf/pin.ts";
import { parseAddress, parsePrefix } from "../../mesh/core/address.ts";
import { systemRandom } from "../../mesh/core/backoff.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createJsonLogger } from "../../mesh/core/logger.ts";
import type { EndpointAddress } from "../../mesh/core/node.ts";
import { createReconciler, type Operations } from "../../mesh/core/reconciler.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";
import { createBenchDatapath, type BenchDatapath } from "./bench-datapath.ts";
import { judge, measureRounds, type Benchmark, type Contestant } from "./benchmark.ts";
import { makeEndpoint, OWN_CLUSTER, OWN_NODE, REMOTE_CLUSTER } from "./endpoints.ts";

const ENDPOINTS = 100_000;
const QUICK_ENDPOINTS = 10_000;
/** Rows a system call in the bare loop; more gained nothing when it was tried. */
const BARE_BATCH_ROWS = 4_096;

const APPLY = "apply";
const PLAN_AND_APPLY = "plan and apply";
const BARE = "bare batched loop";

export const mapFill: Benchmark = {
  name: "map-fill",
  title: "100,000 endpoints into the node's BPF map",
  async run(context) {
    const count = context.quick ? QUICK_ENDPOINTS : ENDPOINTS;
    const node = await createBenchDatapath(context.directory);
    try {
      const endpoints = Array.from({ length: count }, (_, i) => makeEndpoint(i));
      const measurements = await measureRounds(
        [bareLoop(node, endpoints), apply(node, endpoints), planAndApply(node, endpoints)],
        { ...context, unit: "rows/s" },
      );
      const goal = { kind: "at least", ratio: 0.5 } as const;
      return {
        measurements,
        verdicts: [
          judge(measurements, { of: APPLY, to: BARE, goal }),
          judge(measurements, { of: PLAN_AND_APPLY, to: BARE, goal }),
        ],
        notes: [
          `${count} rows of a longest-prefix-match trie; the bare loop's rows were encoded before its clock started`,
        ],
      };
    } finally {
      await node.remove();
    }
  },
};

function bareLoop(node: BenchDatapath, endpoints: readonly EndpointAddress[]): Contestant {
  const { keys, values } = encodeRows(endpoints);
  return {
    name: BARE,
    run: () =>
      intoEmptyMap(node, endpoints.length, () => {
        const fd = openPin(join(node.bpfRoot, "maps", "ipcache"));
        try {
          for (let start = 0; start < endpoints.length; start += BARE_BATCH_ROWS) {
            const end = Math.min(start + BARE_BATCH_ROWS, endpoints.length);
            const result = mapUpdateBatch(
              fd,
              keys.subarray(start * ipcacheKeyCodec.size, end * ipcacheKeyCodec.size),
              values.subarray(start * ipcacheEntryCodec.size, end * ipcacheEntryCodec.size),
              Uint32Array.of(end - start),
              null,
            );
            if (result < 0) throw new Error(`Cannot write the map: ${result}`);
          }
        } finally {
          closeSync(fd);
        }
        return Promise.resolve();
      }),
  };
}

function encodeRows(endpoints: readonly EndpointAddress[]): {
  keys: Uint8Array;
  values: Uint8Array;
} {
  const keys = createMemory(endpoints.length * ipcacheKeyCodec.size);
  const values = createMemory(endpoints.length * ipcacheEntryCodec.size);
  for (const [i, row] of desiredRows(endpoints).entries()) {
    ipcacheKeyCodec.encode(
      ipcacheKeyFromPrefix(parsePrefix(row.prefix)),
      keys,
      i * ipcacheKeyCodec.size,
    );
    const value = {
      ...row,
      tunnelEndpoint: mapAddressFromAddress(parseAddress(row.tunnelEndpoint)),
    };
    ipcacheEntryCodec.encode(value, values, i * ipcacheEntryCodec.size);
  }
  return { keys: keys.bytes, values: values.bytes };
}

function desiredRows(endpoints: readonly EndpointAddress[]): IpcacheRow[] {
  const ownNode = { cluster: OWN_CLUSTER.name, name: OWN_NODE.name, addresses: new Set<string>() };
  const context = { clusterId: REMOTE_CLUSTER.id, ownNode };
  return endpoints.flatMap((endpoint) => planEndpointIpcache(endpoint, context));
}

function apply(node: BenchDatapath, endpoints: readonly EndpointAddress[]): Contestant {
  const rows = desiredRows(endpoints);
  const settlement: Settlement = {
    mayPrune: () => true,
    mayPruneAll: () => true,
    unsettled: () => [],
    changed: createTable({ name: "settlement" }),
  };
  return {
    name: APPLY,
    run: () => {
      const desired = createTable<IpcacheRow>({ name: "ipcache" });
      for (const row of rows) desired.put(row.prefix, row);
      desired.markSynced();
      return intoEmptyMap(node, rows.length, () =>
        reconcileAll({ node, desired, settlement, count: rows.length }),
      );
    },
  };
}

function planAndApply(node: BenchDatapath, endpoints: readonly EndpointAddress[]): Contestant {
  return {
    name: PLAN_AND_APPLY,
    run: () => {
      const intent = fillIntent(endpoints);
      return intoEmptyMap(node, endpoints.length, async () => {
        const end = new AbortController();
        const planner = createIpcachePlanner({
          intent,
          nodeName: OWN_NODE.name,
          clock: systemClock,
        });
        const planning = planner.run(end.signal);
        await reconcileAll({ node, ...planner, count: endpoints.length });
        end.abort();
        await planning;
      });
    },
  };
}

function fillIntent(
  endpoints: readonly EndpointAddress[],
): Parameters<typeof createIpcachePlanner>[0]["intent"] {
  const table = <T>(name: string, rows: Iterable<readonly [string, T]> = []): Table<T> => {
    const filled = createTable<T>({ name });
    for (const [key, row] of rows) filled.put(key, row);
    filled.markSynced();
    return filled;
  };
  const peer: PeerIntent = {
    cluster: REMOTE_CLUSTER,
    nodes: table("nodes"),
    endpoints: table(
      "endpoints",
      endpoints.map((endpoint) => [endpoint.prefix, endpoint]),
    ),
    identities: table("identities"),
    services: table("services"),
    drains: table("drains"),
  };
  return {
    own: {
      cluster: OWN_CLUSTER,
      nodes: table("nodes", [[OWN_NODE.name, OWN_NODE]]),
      endpoints: table("endpoints"),
      identities: table("identities"),
      services: table("services"),
      configuredPeers: table("configured-peers"),
      drains: table("drains"),
      localDrains: table("local-drains"),
      policies: table("policies"),
      pods: table("pods"),
    },
    peers: table("peers", [[REMOTE_CLUSTER.name, peer]]),
  };
}

/** Resolves when the reconciler has applied that many rows of the remote cluster. */
async function reconcileAll(work: {
  readonly node: BenchDatapath;
  readonly desired: Table<IpcacheRow>;
  readonly settlement: Settlement;
  readonly count: number;
}): Promise<void> {
  const { node, desired, settlement, count } = work;
  const map = ipcacheMapFromDatapath(node.datapath.maps.ipcache);
  const real = createIpcacheOperations({ map, settlement });
  const done = Promise.withResolvers<void>();
  let applied = 0;
  const operations: Operations<IpcacheRow> = {
    ...real,
    async update(rows, signal) {
      const failures = await real.update(rows, signal);
      applied += rows.filter(({ row }) => row.clusterId === REMOTE_CLUSTER.id).length;
      if (failures.size > 0) done.reject([...failures.values()][0]);
      if (applied >= count) done.resolve();
      return failures;
    },
  };
  const end = new AbortController();
  const reconciler = createReconciler({
    desired,
    operations,
    clock: systemClock,
    random: systemRandom,
    log: createJsonLogger({
      write: (text) => void process.stderr.write(text),
      nowMs: systemClock.nowMs,
      level: "warn",
    }),
  });
  const running = reconciler.run(end.signal);
  await done.promise;
  end.abort();
  await running;
}

/** Rows a second into a map that is emptied first. */
async function intoEmptyMap(
  node: BenchDatapath,
  count: number,
  work: () => Promise<void>,
): Promise<number> {
  const map = node.datapath.maps.ipcache;
  const keys = [...map.entries()].map(([key]) => key);
  map.deleteBatch(keys);
  const startMs = performance.now();
  await work();
  const seconds = (performance.now() - startMs) / 1_000;
  const present = [...map.entries()].length;
  if (present < count) throw new Error(`Cannot trust the figure: ${present} of ${count} written`);
  return count / seconds;
}
