// Initial sync: every endpoint of a remote etcd into the local one. Ours against a bare loop over
// etcd's API and against `etcdctl make-mirror`; each starts with an empty etcd.
import { spawn } from "node:child_process";
import { cacheWatchPrefix, stateWatchPrefix } from "../../mesh/kvstore/keys.ts";
import { eventually } from "../fakes/eventually.ts";
import { countKeys, putAll, readPages } from "./bare-etcd.ts";
import {
  judge,
  measureRounds,
  type Benchmark,
  type BenchmarkContext,
  type Contestant,
} from "./benchmark.ts";
import { endpointEntry, OWN_CLUSTER, REMOTE_CLUSTER } from "./endpoints.ts";
import { createBenchMirror, introduceCluster, openStore } from "./mirror.ts";
import { startEtcd, type EtcdProcess } from "./etcd-process.ts";

const ENDPOINTS = 100_000;
const QUICK_ENDPOINTS = 5_000;
const SOURCE_PREFIX = stateWatchPrefix("ip", REMOTE_CLUSTER.name);
const TARGET_PREFIX = cacheWatchPrefix("ip", REMOTE_CLUSTER.name);
/** make-mirror writes one key a call: minutes for 100,000 on a slow disk. */
const SYNC_LIMIT_MS = 600_000;
const BARE = "bare paged read and batched puts";
const OURS = "the apiserver's mirror";
const MAKE_MIRROR = "etcdctl make-mirror";

export const initialSync: Benchmark = {
  name: "initial-sync",
  title: "initial sync of 100,000 endpoints from a remote etcd into the local one",
  async run(context) {
    const count = context.quick ? QUICK_ENDPOINTS : ENDPOINTS;
    const source = await startEtcd(context.directory);
    try {
      await fill(source, count);
      const work: Work = { context, source, count };
      const options = { ...context, unit: "ms" } as const;
      const measurements = [
        ...(await measureRounds([bareLoop(work), ours(work)], options)),
        // Once: it takes minutes, and what it is compared with differs by far more than its spread.
        ...(await measureRounds([makeMirror(work)], { ...options, rounds: 1 })),
      ];
      return {
        measurements,
        verdicts: [
          judge(measurements, { of: OURS, to: BARE, goal: { kind: "at most", ratio: 1.3 } }),
          judge(measurements, { of: OURS, to: MAKE_MIRROR, goal: { kind: "at most", ratio: 1 } }),
        ],
        notes: [`${count} endpoints; etcd without TLS on loopback, a fresh target each time`],
      };
    } finally {
      await source.stop();
    }
  },
};

interface Work {
  readonly context: BenchmarkContext;
  readonly source: EtcdProcess;
  readonly count: number;
}

async function fill(source: EtcdProcess, count: number): Promise<void> {
  const entries = Array.from({ length: count }, (_, i) => endpointEntry(i));
  await putAll(source.client, entries);
  await introduceCluster(source, REMOTE_CLUSTER);
}

function bareLoop(work: Work): Contestant {
  return {
    name: BARE,
    run: () =>
      intoFreshEtcd(work, async (target) => {
        for await (const page of readPages(work.source.client, SOURCE_PREFIX)) {
          const copies = page.map(({ key, value }) => ({
            key: Buffer.from(`${TARGET_PREFIX}${key.subarray(SOURCE_PREFIX.length).toString()}`),
            value,
          }));
          await putAll(target.client, copies);
        }
      }),
  };
}

/** Everything the apiserver does with a peer: validation, claims, leases, canaries. */
function ours(work: Work): Contestant {
  return {
    name: OURS,
    run: () =>
      intoFreshEtcd(work, async (target) => {
        const end = new AbortController();
        const ownStore = openStore(target.endpoint);
        const mirror = createBenchMirror({
          own: OWN_CLUSTER,
          peer: REMOTE_CLUSTER.name,
          ownStore,
          peerEndpoint: work.source.endpoint,
        });
        const running = mirror.run(end.signal);
        try {
          await eventually(() => mirror.status().synced, {
            limitMs: SYNC_LIMIT_MS,
            what: "the mirror is complete",
            signal: work.context.signal,
          });
        } finally {
          end.abort();
          await running;
          ownStore.close();
        }
      }),
  };
}

function makeMirror(work: Work): Contestant {
  return {
    name: MAKE_MIRROR,
    run: () =>
      intoFreshEtcd(work, async (target) => {
        const child = spawn(
          "etcdctl",
          [
            `--endpoints=${work.source.endpoint}`,
            "make-mirror",
            `--prefix=${SOURCE_PREFIX}`,
            `--dest-prefix=${TARGET_PREFIX}`,
            target.endpoint,
          ],
          { stdio: "ignore", env: { ...process.env, ETCDCTL_API: "3" } },
        );
        const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
        try {
          await allKeysIn(target, work);
        } finally {
          child.kill("SIGKILL"); // It mirrors for ever.
          await ended;
        }
      }),
  };
}

/** Milliseconds from the start of the work until every key is in the target. */
async function intoFreshEtcd(
  { context, count }: Work,
  work: (target: EtcdProcess) => Promise<void>,
): Promise<number> {
  const target = await startEtcd(context.directory);
  try {
    const startMs = performance.now();
    await work(target);
    const ms = performance.now() - startMs;
    const copied = await countKeys(target.client, TARGET_PREFIX);
    if (copied !== count) throw new Error(`Cannot trust the figure: ${copied} of ${count} copied`);
    return ms;
  } finally {
    await target.stop();
  }
}

async function allKeysIn(target: EtcdProcess, { context, count }: Work): Promise<void> {
  await eventually(async () => (await countKeys(target.client, TARGET_PREFIX)) === count, {
    limitMs: SYNC_LIMIT_MS,
    // Counting is work for the etcd that is measured; make-mirror needs minutes.
    pollMs: 250,
    what: `${count} keys are in the target`,
    signal: context.signal,
  });
}
