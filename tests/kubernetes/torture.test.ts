// 5,000 objects of a real API server that change while everything goes wrong: connections cut at
// random, silence, a killed server, history that is compacted away, an etcd restored from a copy
// of old. Nothing of it may leave our tables different from a fresh list.
//
// What is random follows from a seed, which is printed; TOMBOLO_SEED repeats a run.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { SOURCE_KINDS } from "../../apiserver/source/objects.ts";
import type { WatchLimits } from "../../mesh/kubernetes/watch-loop.ts";
import { installCiliumPolicies } from "./cilium-definitions.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { startTcpProxy, type TcpProxy } from "../fakes/proxy.ts";
import { createChurn, seededRandom, type Churn } from "./churn.ts";
import { follow, type Follower } from "./follower.ts";

const LIMIT_MS = 300_000;
const WAIT = { limitMs: 120_000, pollMs: 100 };
/** Silence that lasts minutes in the field is noticed in seconds here. */
const LIMITS: WatchLimits = {
  answerMs: 4_000,
  minWatchSeconds: 4,
  maxWatchSeconds: 8,
  graceMs: 2_000,
  // Long outages are another rule than the ones that this test is about.
  longOutageMs: 3_600_000,
  maxBackoffMs: 2_000,
};

let kubernetes: TestKubernetes;
let proxy: TcpProxy;
let random: () => number;
let churn: Churn;
let follower: Follower;
/** Makes the churn believe what etcd holds after a roll-back. */
let restored: (() => void) | undefined;

beforeAll(async () => {
  const seed = Number(process.env["TOMBOLO_SEED"] ?? Date.now() % 1_000_000);
  process.stderr.write(`torture: TOMBOLO_SEED=${seed}\n`);
  random = seededRandom(seed);
  kubernetes = await startTestKubernetes();
  await installCiliumPolicies(kubernetes);
  proxy = await startTcpProxy({ targetPort: kubernetes.port });
  churn = createChurn(kubernetes, { random });
  const { path } = await kubernetes.writeKubeconfig({ port: proxy.port });
  follower = follow({ kubeconfig: path }, LIMITS);
  await churn.fill();
}, LIMIT_MS);
afterAll(async () => {
  await follower?.stop();
  await proxy?.close();
  await kubernetes?.close();
}, LIMIT_MS);
afterEach(() => proxy.pass());

/** Compared with what somebody sees who comes anew, without the proxy. */
async function sameAsFresh(): Promise<number> {
  const { path } = await kubernetes.writeKubeconfig();
  const fresh = follow({ kubeconfig: path });
  try {
    await eventually(() => fresh.synced() && follower.synced(), { ...WAIT, what: "synced" });
    await eventually(
      () => {
        expect(follower.contents()).toEqual(fresh.contents());
        return true;
      },
      { ...WAIT, what: "the tables hold what a fresh list holds", pollMs: 500 },
    );
    return SOURCE_KINDS.reduce((total, kind) => total + fresh.tables[kind].size, 0);
  } finally {
    await fresh.stop();
  }
}

/** The client is away while work is done, and finds another server when it is back. */
async function whileAway(work: () => Promise<void>): Promise<void> {
  await proxy.refuse();
  await work();
  await proxy.pass();
}

describe("the Kubernetes source under torture", () => {
  test(
    "follows 5,000 objects that change while connections are cut at random",
    async () => {
      const before = follower.source.counts();
      let done = false;
      let cuts = 0;
      const changes = churn.change().finally(() => (done = true));
      await eventually(
        () => {
          if (random() < 0.1) cuts += proxy.cut();
          return done;
        },
        { ...WAIT, pollMs: 20 },
      );
      await changes;
      expect(cuts).toBeGreaterThan(0);
      expect(await sameAsFresh()).toBeGreaterThan(4_500);
      // Every kind resumed where it was: a cut connection is no reason to list again.
      expect(follower.source.counts().expired).toBe(before.expired);
      expect(follower.source.counts().doubts).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "notices silence on connections that look alive",
    async () => {
      const before = follower.source.counts().silent;
      await proxy.swallow();
      await churn.change();
      await eventually(() => follower.source.counts().silent >= before + SOURCE_KINDS.length, WAIT);
      await proxy.pass();
      await sameAsFresh();
    },
    LIMIT_MS,
  );

  for (const [what, flags] of [
    ["", []],
    [" without a cache of its own", ["--watch-cache=false"]],
  ] as const) {
    test(
      `lists again when what it missed was compacted away, behind a killed server${what}`,
      async () => {
        const { expired, lists } = follower.source.counts();
        await whileAway(async () => {
          await churn.change();
          await kubernetes.kill();
          await kubernetes.etcd.compact();
          if (restored === undefined) {
            await kubernetes.etcd.save();
            restored = churn.remember();
          }
          await kubernetes.restart({ flags });
          await churn.change();
          await kubernetes.etcd.compact();
        });
        await churn.change();
        // A 410 was really answered, to kinds that had changed at the least.
        await eventually(() => follower.source.counts().expired >= expired + 3, WAIT);
        await eventually(() => follower.source.counts().lists >= lists + 3, WAIT);
        await sameAsFresh();
      },
      LIMIT_MS,
    );
  }

  for (const [when, away] of [
    ["was cut off", true],
    ["was connected", false],
  ] as const) {
    test(
      `lists again when etcd was restored from a copy of old while it ${when}`,
      async () => {
        await churn.change();
        await sameAsFresh();
        const { doubts } = follower.source.counts();
        const restore = async (): Promise<void> => {
          await kubernetes.kill();
          await kubernetes.etcd.rollBack();
          await kubernetes.restart();
        };
        if (away) await whileAway(restore);
        else await restore();
        restored?.();
        await eventually(() => follower.source.counts().doubts > doubts, WAIT);
        await sameAsFresh();
      },
      LIMIT_MS,
    );
  }
});
