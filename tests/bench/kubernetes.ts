// A change in the Kubernetes API of one cluster on its way to the service maps of a node in the
// other, at 10 and at 500 changes a second. Beside it, in the same run and of the same changes,
// what the Kubernetes API alone needs until a bare watch has heard of them.
//
//   this process ──PATCH──► kube-apiserver ──► apiserver A ──► etcd A ──► apiserver B ──► etcd B
//                                └──► watcher                                              │
//                                                                  BPF maps ◄── agent of B ┘
//
// At 10 changes a second bare watches of both etcds tell where the time goes.
//
// A change is the one endpoint of an EndpointSlice of a global service. Delays count from when it
// was due to be sent, so that they hold the API server's own time as well, in both contestants.
import { eventually } from "../fakes/eventually.ts";
import {
  formatNumber,
  judge,
  median,
  quantile,
  type Benchmark,
  type BenchmarkContext,
  type Measurement,
} from "./benchmark.ts";
import { startChain, type Chain } from "./kubernetes-chain.ts";
import type { Sent } from "./kubernetes-load.ts";
import type { Arrivals, Stopwatch } from "./stopwatch.ts";

const RATES = [10, 500] as const;
/** Of each round. */
const SECONDS = 10;
const QUICK_SECONDS = 4;
/** Changed round robin, so that changes of one service are hardly ever merged on the way. */
const SERVICES = 1_000;
const QUICK_SERVICES = 300;
/** Not counted at the start of a round: connections and code warm up. */
const WARM_UP_SECONDS = 1;
/** The stages between are watched at this rate only: at the other every watcher takes its share. */
const STAGES_RATE = 10;
/** An API server that answers fewer than this part of the changes has not kept up. */
const KEPT_UP = 0.95;
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
    const chain = await startChain(context, context.quick ? QUICK_SERVICES : SERVICES);
    try {
      const figures = new Map<string, number[]>();
      const notes: string[] = [];
      for (let round = 0; round < context.rounds; round++) {
        for (const rate of RATES) {
          const found = await measure(chain, { rate, context });
          for (const [name, value] of found.delays) {
            figures.set(name, [...(figures.get(name) ?? []), value]);
          }
          notes.push(...tooSlow(found.reached, rate));
          const said = found.delays.map(([name, value]) => `${name} ${formatNumber(value)} ms`);
          context.say(`  ${round + 1}/${context.rounds} ${said.join("; ")}`);
        }
      }
      return resultOf(figures, { context, notes });
    } finally {
      await chain.stop();
    }
  },
};

const IN_MAP = "API write to BPF map of another cluster";
const IN_WATCH = "API write to bare watch";
const ANSWERED = "API write to answer";
const EXPORTED = "API write to own etcd";
const MIRRORED = "API write to etcd of another cluster";
const nameOf = (what: string, rate: number, quantileName: string): string =>
  `${what}, ${rate}/s, ${quantileName}`;

interface Found {
  readonly delays: readonly (readonly [name: string, ms: number])[];
  /** Changes a second that the API server has answered. */
  readonly reached: number;
}

async function measure(
  chain: Chain,
  { rate, context }: { rate: number; context: BenchmarkContext },
): Promise<Found> {
  const stages = rate === STAGES_RATE ? await chain.startStages() : undefined;
  try {
    const watched: [what: string, where: Stopwatch][] = [[IN_WATCH, chain.watcher]];
    if (stages !== undefined) watched.push([EXPORTED, stages.exported]);
    if (stages !== undefined) watched.push([MIRRORED, stages.mirrored]);
    watched.push([IN_MAP, chain.agent]);
    const seconds = WARM_UP_SECONDS + (context.quick ? QUICK_SECONDS : SECONDS);
    const sent = await chain.load.change({ rate, count: rate * seconds }, context.signal);
    const arrivals = await eventually(
      async () => {
        const found = await Promise.all(
          watched.map(async ([what, where]) => {
            const all = arrivalsOf(sent, await where.arrivals(), chain.services);
            return [what, all] as const;
          }),
        );
        for (const [what, all] of found) {
          const missing = sent.length - all.size;
          if (missing > 0) throw new Error(`${missing} of ${sent.length} changes: ${what}`);
        }
        return found;
      },
      {
        limitMs: ARRIVAL_LIMIT_MS,
        pollMs: 500,
        signal: context.signal,
        what: "every change has arrived",
      },
    );
    const answered = new Map(sent.map(({ number, answeredNs }) => [number, answeredNs]));
    const counted = sent.slice(rate * WARM_UP_SECONDS);
    const all: (readonly [what: string, arrived: Arrivals])[] = [[ANSWERED, answered], ...arrivals];
    return {
      delays: all.flatMap(([what, arrived]) => {
        const delays = counted.map(
          ({ number, dueNs }) => Number((arrived.get(number) ?? 0n) - dueNs) / 1e6,
        );
        return [
          [nameOf(what, rate, "p50"), quantile(delays, 0.5)],
          [nameOf(what, rate, "p99"), quantile(delays, 0.99)],
        ] as const;
      }),
      reached: answeredRate(sent),
    };
  } finally {
    await stages?.stop();
  }
}

function answeredRate(sent: readonly Sent[]): number {
  const firstNs = sent[0]?.dueNs ?? 0n;
  const lastNs = sent.reduce((last, { answeredNs }) => (answeredNs > last ? answeredNs : last), 0n);
  return sent.length / (Number(lastNs - firstNs) / 1e9);
}

/** The delays of a server that is behind are those of a queue that grows as long as one likes. */
function tooSlow(reached: number, rate: number): string[] {
  if (reached >= rate * KEPT_UP) return [];
  const figure = formatNumber(reached);
  return [
    `the API server of this machine answered ${figure} of ${rate} changes a second: the delays at ${rate}/s are mostly its queue`,
  ];
}

/** When each change, or a later one of the same service, has arrived. */
function arrivalsOf(sent: readonly Sent[], found: Arrivals, step: number): Arrivals {
  const last = Math.max(...sent.map(({ number }) => number));
  const all: Arrivals = new Map();
  for (const { number } of sent) {
    const arrivedNs = arrivalOf(found, { number, last, step });
    if (arrivedNs !== undefined) all.set(number, arrivedNs);
  }
  return all;
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
  { context, notes }: { context: BenchmarkContext; notes: readonly string[] },
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
      ...notes,
      `${context.quick ? QUICK_SECONDS : SECONDS} s a rate and round, ${context.quick ? QUICK_SERVICES : SERVICES} services; delays from when a change was due to be sent`,
      "kube-apiserver, its etcd, two apiservers, their etcds, agent, watcher and writer share the machine",
    ],
  };
}
