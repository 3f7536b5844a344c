// A change in the Kubernetes API of one cluster on its way to the service maps of a node in the
// other, at 10 and at 500 changes a second. Beside it, in the same run and of the same changes,
// what the Kubernetes API alone needs until a bare watch has heard of them.
//
//   this process ──PATCH──► kube-apiserver ──► apiserver A ──► etcd A ──► apiserver B ──► etcd B
//                                └──► watcher                                              │
//                                                                  BPF maps ◄── agent of B ┘
//
// A change is the one endpoint of an EndpointSlice of a global service. Delays count from when it
// was due to be sent, so that they hold the API server's own time as well, in both contestants.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeReaders } from "../../mesh/connect/connection-files.ts";
import { createTestApiserver, installPeer, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { ADMIN_TOKEN, startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import {
  formatNumber,
  judge,
  median,
  quantile,
  type Benchmark,
  type BenchmarkContext,
  type Measurement,
} from "./benchmark.ts";
import { OWN_CLUSTER, OWN_NODE, REMOTE_CLUSTER } from "./endpoints.ts";
import {
  createSliceLoad,
  NAMESPACE,
  serviceName,
  SLICES,
  type SliceLoad,
} from "./kubernetes-load.ts";
import { startStopwatch, type Arrivals, type Stopwatch } from "./stopwatch.ts";

const RATES = [10, 500] as const;
/** Of each round. */
const SECONDS = 10;
const QUICK_SECONDS = 4;
/** Changed round robin, so that changes of one service are hardly ever merged on the way. */
const SERVICES = 1_000;
const QUICK_SERVICES = 300;
/** Not counted at the start of a round: connections and code warm up. */
const WARM_UP_SECONDS = 1;
const ARRIVAL_LIMIT_MS = 60_000;
const ASSETS = "KUBEBUILDER_ASSETS";

export const kubernetes: Benchmark = {
  name: "kubernetes",
  title: "one change in a Kubernetes API to the BPF maps of a node in another cluster",
  async run(context) {
    if ((process.env[ASSETS] ?? "") === "") {
      const note = `skipped: ${ASSETS} is not set, want a folder that holds kube-apiserver`;
      context.say(`  ${note}`);
      return { measurements: [], verdicts: [], notes: [note] };
    }
    const chain = await startChain(context);
    try {
      const figures = new Map<string, number[]>();
      for (let round = 0; round < context.rounds; round++) {
        for (const rate of RATES) {
          const found = await measure(chain, { rate, context });
          for (const [name, value] of found) {
            figures.set(name, [...(figures.get(name) ?? []), value]);
          }
          const said = found.map(([name, value]) => `${name} ${formatNumber(value)} ms`);
          context.say(`  ${round + 1}/${context.rounds} ${said.join("; ")}`);
        }
      }
      return resultOf(figures, context);
    } finally {
      await chain.stop();
    }
  },
};

const IN_MAP = "API write to BPF map of another cluster";
const IN_WATCH = "API write to bare watch";
const ANSWERED = "API write to answer";
const nameOf = (what: string, rate: number, quantileName: string): string =>
  `${what}, ${rate}/s, ${quantileName}`;

interface Chain {
  readonly services: number;
  readonly load: SliceLoad;
  readonly watcher: Stopwatch;
  readonly agent: Stopwatch;
  stop(): Promise<void>;
}

async function measure(
  chain: Chain,
  { rate, context }: { rate: number; context: BenchmarkContext },
): Promise<[name: string, ms: number][]> {
  const seconds = WARM_UP_SECONDS + (context.quick ? QUICK_SECONDS : SECONDS);
  const sent = await chain.load.change({ rate, count: rate * seconds }, context.signal);
  const last = Math.max(...sent.map(({ number }) => number));
  const arrived = (found: Arrivals, number: number): bigint | undefined =>
    arrivalOf(found, { number, last, step: chain.services });
  const [inMap, inWatch] = await eventually(
    async () => {
      const both = await Promise.all([chain.agent.arrivals(), chain.watcher.arrivals()]);
      const all = sent.every(({ number }) =>
        both.every((found) => arrived(found, number) !== undefined),
      );
      return all && both;
    },
    { limitMs: ARRIVAL_LIMIT_MS, pollMs: 500, what: "every change has arrived" },
  );
  const counted = sent.slice(rate * WARM_UP_SECONDS);
  const delays = (arrivedNs: (number: number) => bigint | undefined): number[] =>
    counted.map(({ number, dueNs }) => Number((arrivedNs(number) ?? 0n) - dueNs) / 1e6);
  const answered = new Map(sent.map(({ number, answeredNs }) => [number, answeredNs]));
  return [
    [ANSWERED, delays((number) => answered.get(number))] as const,
    [IN_WATCH, delays((number) => arrived(inWatch, number))] as const,
    [IN_MAP, delays((number) => arrived(inMap, number))] as const,
  ].flatMap(([what, values]): [string, number][] => [
    [nameOf(what, rate, "p50"), quantile(values, 0.5)],
    [nameOf(what, rate, "p99"), quantile(values, 0.99)],
  ]);
}

/**
 * When a change, or a later one of the same service, has arrived: on a machine that is behind two
 * of them may be merged on the way, as they should be.
 */
function arrivalOf(
  found: Arrivals,
  change: { number: number; last: number; step: number },
): bigint | undefined {
  const { number, last, step } = change;
  for (let later = number; later <= last; later += step) {
    const arrivedNs = found.get(later);
    if (arrivedNs !== undefined) return arrivedNs;
  }
  return undefined;
}

function resultOf(
  figures: ReadonlyMap<string, readonly number[]>,
  context: BenchmarkContext,
): Awaited<ReturnType<Benchmark["run"]>> {
  const measurements = [...figures].map(([name, values]): Measurement => ({
    name,
    unit: "ms",
    median: median(values),
    values,
  }));
  const goal = { kind: "at most", ratio: 10 } as const;
  return {
    measurements,
    verdicts: RATES.map((rate) =>
      judge(measurements, {
        of: nameOf(IN_MAP, rate, "p99"),
        to: nameOf(IN_WATCH, rate, "p99"),
        goal,
      }),
    ),
    notes: [
      `${context.quick ? QUICK_SECONDS : SECONDS} s a rate and round, ${context.quick ? QUICK_SERVICES : SERVICES} services; delays from when a change was due to be sent`,
      "kube-apiserver, its etcd, two apiservers, their etcds, agent, watcher and writer share the machine",
    ],
  };
}

async function startChain(context: BenchmarkContext): Promise<Chain> {
  const services = context.quick ? QUICK_SERVICES : SERVICES;
  const stops: (() => Promise<unknown> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    context.say("  starting a Kubernetes API and two clusters");
    const api = await startTestKubernetes();
    stops.push(() => api.close());
    const load = createSliceLoad(api, services);
    stops.push(() => load.close());
    await load.fill();
    const [near, far] = await startClusters(api, { services, stops });
    const bpf = join(context.directory, "kubernetes-agent");
    await mkdir(bpf, { recursive: true });
    const args = [near.directory, near.etcdEndpoint, bpf];
    const agent = await startStopwatch("./kubernetes-agent.ts", args);
    stops.push(() => agent.stop());
    const watcher = await startStopwatch("./kubernetes-watcher.ts", [
      String(api.port),
      ADMIN_TOKEN,
      SLICES,
    ]);
    stops.push(() => watcher.stop());
    await far.ready();
    await eventually(async () => (await agent.arrivals()).size >= services, {
      limitMs: 120_000,
      pollMs: 200,
      what: "the node holds every service of the other cluster",
    });
    return { services, load, watcher, agent, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The cluster with the node, from manifests, which reads the one with the Kubernetes API. */
async function startClusters(
  api: TestKubernetes,
  { services, stops }: { services: number; stops: (() => Promise<unknown> | void)[] },
): Promise<[near: TestApiserver, far: TestApiserver]> {
  const { path } = await api.writeKubeconfig();
  const source = { kind: "kubernetes", kubeconfig: path, context: "test" };
  const far = await createTestApiserver({ ...REMOTE_CLUSTER, source });
  stops.push(() => far.close());
  const near = await createTestApiserver({ ...OWN_CLUSTER });
  stops.push(() => near.close());
  await near.manifest("cluster.json", JSON.stringify(ownObjects(services)));
  far.start();
  near.start();
  await Promise.all([far.ready(), near.ready()]);
  await writeReaders(far.directory, [near.name]);
  await installPeer(near, far);
  return [near, far];
}

function ownObjects(services: number): object {
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: OWN_NODE.name },
    spec: { podCIDRs: OWN_NODE.podPrefixes },
    status: { addresses: OWN_NODE.addresses.map(({ type, ip }) => ({ type, address: ip })) },
  };
  const items = Array.from({ length: services }, (_, index) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      namespace: NAMESPACE,
      name: serviceName(index),
      annotations: { "service.cilium.io/global": "true" },
    },
    spec: {
      clusterIP: `10.97.${index >> 8}.${index & 255}`,
      ports: [{ name: "http", port: 80 }],
    },
  }));
  return { apiVersion: "v1", kind: "List", items: [node, ...items] };
}
