// Initial sync: every endpoint of a remote etcd into the local one. Ours against a bare loop over
// etcd's API and against `etcdctl make-mirror`; each starts with an empty etcd.
import { spawn } from "node:child_process";
import { cacheWatchPrefix, stateWatchPrefix } from "../../mesh/kvstore/keys.ts";
import { eventually } from "../fakes/eventually.ts";
import { countKeys, putAll, readPages } from "./bare-etcd.ts";
import {
  measureRounds,
  type Benchmark,
  type BenchmarkContext,
  type Contestant,
} from "./benchmark.ts";
import { endpointEntry, REMOTE_CLUSTER } from "./endpoints.ts";
import { startEtcd, type EtcdProcess } from "./etcd-process.ts";

const ENDPOINTS = 100_000;
const QUICK_ENDPOINTS = 5_000;
const SOURCE_PREFIX = stateWatchPrefix("ip", REMOTE_CLUSTER.name);
const TARGET_PREFIX = cacheWatchPrefix("ip", REMOTE_CLUSTER.name);
/** make-mirror writes one key a call: minutes for 100,000 on a slow disk. */
const SYNC_LIMIT_MS = 600_000;

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
        ...(await measureRounds([bareLoop(work)], options)),
        // Once: it takes minutes, and what it is compared with differs by far more than its spread.
        ...(await measureRounds([makeMirror(work)], { ...options, rounds: 1 })),
      ];
      return {
        measurements,
        verdicts: [],
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
}

function bareLoop(work: Work): Contestant {
  return {
    name: "bare paged read and batched puts",
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

function makeMirror(work: Work): Contestant {
  return {
    name: "etcdctl make-mirror",
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
          await allKeysIn(target, work.count);
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

async function allKeysIn(target: EtcdProcess, count: number): Promise<void> {
  await eventually(async () => (await countKeys(target.client, TARGET_PREFIX)) === count, {
    limitMs: SYNC_LIMIT_MS,
    what: `${count} keys are in the target`,
  });
}
