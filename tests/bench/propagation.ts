// One remote change on its way to the local BPF map, at a steady 1,000 changes a second: put into
// the remote etcd, mirrored into the local one, read, planned and written by the agent. Beside it
// what etcd itself needs from a put to a watcher, under the same load.
//
//   this process ──put──► remote etcd ──► mirror ──► local etcd ──► agent ──► BPF map
//                              └────────► watcher
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { EndpointAddress } from "../../mesh/core/node.ts";
import { localServicesSyncedKey, stateWatchPrefix } from "../../mesh/kvstore/keys.ts";
import { encodeEndpoint, endpointName } from "../../mesh/kvstore/records/endpoint.ts";
import { encodeNode } from "../../mesh/kvstore/records/node.ts";
import { encodeTimestamp } from "../../mesh/kvstore/records/timestamp.ts";
import { eventually } from "../fakes/eventually.ts";
import { putAll } from "./bare-etcd.ts";
import {
  formatNumber,
  judge,
  measureRounds,
  quantile,
  type Benchmark,
  type BenchmarkContext,
  type Contestant,
} from "./benchmark.ts";
import { endpointEntry, makeEndpoint, OWN_CLUSTER, OWN_NODE, REMOTE_CLUSTER } from "./endpoints.ts";
import { startEtcd, type EtcdProcess } from "./etcd-process.ts";
import { introduceCluster } from "./mirror.ts";
import { startStopwatch, type Arrivals } from "./stopwatch.ts";

const CHANGES_A_SECOND = 1_000;
const SECONDS = 10;
const QUICK_SECONDS = 2;
/** Changed round robin, so that no two changes of one endpoint are merged on the way. */
const ENDPOINTS = 10_000;
const QUICK_ENDPOINTS = 2_000;
/** The first second is not counted: connections and code warm up. */
const WARM_UP_CHANGES = 1_000;
const PREFIX = stateWatchPrefix("ip", REMOTE_CLUSTER.name);
/** Numbers of changes live in the remote cluster's share of identities, above the reserved ones. */
const FIRST_IDENTITY = REMOTE_CLUSTER.id * 65_536 + 2_000;
const IN_MAP = "remote put to local BPF map, p99";
const IN_WATCH = "etcd put to watch, p99";

export const propagation: Benchmark = {
  name: "propagation",
  title: "one remote change to the local BPF map, at 1,000 changes a second",
  async run(context) {
    const medians = new Map<string, number[]>();
    const contestant = (name: string, chain: Chain): Contestant => ({
      name,
      async run() {
        const delays = await measureChain(chain, context);
        medians.set(name, [...(medians.get(name) ?? []), quantile(delays, 0.5)]);
        return quantile(delays, 0.99);
      },
    });
    const measurements = await measureRounds(
      [contestant(IN_WATCH, startWatcher), contestant(IN_MAP, startMirrorAndAgent)],
      { ...context, unit: "ms" },
    );
    const p50s = [...medians].map(
      ([name, values]) =>
        `${name.replace("p99", "p50")}: ${values.map(formatNumber).join("  ")} ms`,
    );
    const goal = { kind: "at most", ratio: 5 } as const;
    return {
      measurements,
      verdicts: [judge(measurements, { of: IN_MAP, to: IN_WATCH, goal })],
      notes: [
        ...p50s,
        `${context.quick ? QUICK_SECONDS : SECONDS} s a round; two etcds, mirror, agent and writer share the machine`,
      ],
    };
  },
};

/** Where arrivals are noted. */
interface Finish {
  arrivals(): Promise<Arrivals>;
  stop(): Promise<void>;
}

type Chain = (remote: EtcdProcess, directory: string) => Promise<Finish>;

/** Milliseconds from put to arrival, one a change. */
async function measureChain(start: Chain, context: BenchmarkContext): Promise<number[]> {
  const endpoints = context.quick ? QUICK_ENDPOINTS : ENDPOINTS;
  const remote = await startEtcd(context.directory);
  try {
    const base = Array.from({ length: endpoints }, (_, i) => endpointEntry(i));
    await putAll(remote.client, base);
    await introduceCluster(remote, REMOTE_CLUSTER);
    const finish = await start(remote, context.directory);
    try {
      const seconds = context.quick ? QUICK_SECONDS : SECONDS;
      const changes = WARM_UP_CHANGES + seconds * CHANGES_A_SECOND;
      const sent = await putSteadily({ remote, endpoints, changes }, context.signal);
      const arrived = await eventually(
        async () => {
          const all = await finish.arrivals();
          return [...sent.keys()].every((identity) => all.has(identity)) && all;
        },
        { limitMs: 60_000, what: "every change has arrived" },
      );
      return [...sent]
        .slice(WARM_UP_CHANGES)
        .map(([identity, ns]) => Number((arrived.get(identity) ?? 0n) - ns) / 1e6);
    } finally {
      await finish.stop();
    }
  } finally {
    await remote.stop();
  }
}

function startWatcher(remote: EtcdProcess): Promise<Finish> {
  return startStopwatch("./propagation-watcher.ts", [remote.endpoint, PREFIX]);
}

async function startMirrorAndAgent(remote: EtcdProcess, directory: string): Promise<Finish> {
  const local = await startEtcd(directory);
  await introduceCluster(local, OWN_CLUSTER);
  await putAll(local.client, ownRecords());
  const bpf = join(directory, "agent");
  await mkdir(bpf, { recursive: true });
  const mirror = await startStopwatch("./propagation-mirror.ts", [remote.endpoint, local.endpoint]);
  const agent = await startStopwatch("./propagation-agent.ts", [local.endpoint, bpf]);
  const stop = async (): Promise<void> => {
    await Promise.all([agent.stop(), mirror.stop()]);
    await local.stop();
  };
  try {
    await throughTheChain(remote, agent);
  } catch (error) {
    await stop();
    throw error;
  }
  return { arrivals: () => agent.arrivals(), stop };
}

/** A change that has arrived shows that mirror and agent are connected and synced. */
async function throughTheChain(remote: EtcdProcess, agent: Finish): Promise<void> {
  const probe = FIRST_IDENTITY - 1;
  await putAll(remote.client, [changeOf(makeEndpoint(0), probe)]);
  await eventually(async () => (await agent.arrivals()).has(probe), {
    limitMs: 60_000,
    what: "the first change has reached the map",
  });
}

/** What the agent waits for before it plans: its own node, and its cluster's services. */
function ownRecords(): { key: Buffer; value: Buffer }[] {
  const nodeKey = `${stateWatchPrefix("nodes", OWN_CLUSTER.name)}${OWN_NODE.name}`;
  const now = encodeTimestamp(Date.now());
  return [
    { key: Buffer.from(nodeKey), value: encodeNode(OWN_NODE) },
    { key: Buffer.from(localServicesSyncedKey(OWN_CLUSTER.name)), value: now },
  ];
}

function changeOf(endpoint: EndpointAddress, identity: number): { key: Buffer; value: Buffer } {
  const changed = { ...endpoint, identity };
  return {
    key: Buffer.from(`${PREFIX}${endpointName(changed)}`),
    value: encodeEndpoint(changed),
  };
}

/** Puts one change after another at the rate; returns when each was handed to the client. */
async function putSteadily(
  work: { readonly remote: EtcdProcess; readonly endpoints: number; readonly changes: number },
  signal: AbortSignal,
): Promise<Map<number, bigint>> {
  const { remote, endpoints, changes } = work;
  const sent = new Map<number, bigint>();
  const puts: Promise<unknown>[] = [];
  const startMs = performance.now();
  while (sent.size < changes) {
    signal.throwIfAborted();
    const due = Math.floor(((performance.now() - startMs) * CHANGES_A_SECOND) / 1_000);
    while (sent.size < Math.min(due, changes)) {
      const identity = FIRST_IDENTITY + sent.size;
      const { key, value } = changeOf(makeEndpoint(sent.size % endpoints), identity);
      sent.set(identity, process.hrtime.bigint());
      puts.push(remote.client.kv.put({ key, value }));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(puts);
  return sent;
}
