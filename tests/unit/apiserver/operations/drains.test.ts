import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createClusterIds, type ClusterIds } from "../../../../apiserver/mirror/cluster-ids.ts";
import { createDrains, type Drains } from "../../../../apiserver/operations/drains.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { encodeDrainFile } from "../../../../mesh/drain/drain-file.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import type { DrainRecord } from "../../../../mesh/kvstore/records/drain.ts";
import { testDrain } from "../../../fakes/drains.ts";
import { eventually } from "../../../fakes/eventually.ts";

const never = new AbortController().signal;
const STATE = "tombolo/state/drains/v1/east/";
const LOCAL = "tombolo/local/drains/v1/east/";
const OWN = testDrain({ id: "own", cluster: "east" });
const PEER = testDrain({ id: "peer" });

let root: string;
let path: string;
let store: MemoryStore;
let clusterIds: ClusterIds;
let drains: Drains;
let told: string[];
let stop: () => Promise<void>;

function start({ absentMeansNone }: { absentMeansNone: boolean }): void {
  const abort = new AbortController();
  clusterIds = createClusterIds({ name: "east", id: 1 });
  told = [];
  drains = createDrains({
    cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
    path,
    absentMeansNone,
    clusterIds,
    events: { emit: ({ from, to }) => told.push(`${from} → ${to}`) },
    store,
    clock: systemClock,
    random: () => 0,
    log: silentLogger,
  });
  const running = drains.run(abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-as-drains-"));
  path = join(root, "operations", "drains.json");
  await mkdir(dirname(path));
  store = createMemoryStore(new MemoryEtcd());
});

afterEach(async () => {
  await stop();
  store.close();
  await rm(root, { recursive: true });
});

const order = (records: readonly DrainRecord[]) => writeFile(path, encodeDrainFile(records));

async function published(prefix: string): Promise<DrainRecord[]> {
  const found: DrainRecord[] = [];
  for await (const page of store.list(prefix, never)) {
    for (const { value } of page) found.push(JSON.parse(value.toString()) as DrainRecord);
  }
  return found;
}

const canaries = async (): Promise<number> =>
  (
    await Promise.all(
      ["state", "local"].map((kind) =>
        store.get(`cilium/synced/east/tombolo/${kind}/drains/v1`, never),
      ),
    )
  ).filter((entry) => entry !== undefined).length;

describe("createDrains()", () => {
  test("tells peers what is about ourselves, and our agents what is about peers", async () => {
    await order([OWN, PEER]);
    start({ absentMeansNone: true });
    await eventually(async () => (await canaries()) === 2);
    expect(await published(STATE)).toEqual([{ ...OWN, clusterId: 1 }]);
    expect(await published(LOCAL)).toEqual([JSON.parse(JSON.stringify(PEER))]);
    clusterIds.reserve(2, "west");
    await eventually(async () => (await published(LOCAL))[0]?.clusterId === 2);
    await order([]);
    await eventually(async () => (await published(STATE)).length === 0);
    await eventually(async () => (await published(LOCAL)).length === 0);
    expect(told).toEqual([
      "not drained → drained 100 %",
      "not drained → drained 100 %",
      "drained 100 % → not drained",
      "drained 100 % → not drained",
    ]);
  });

  test("ends a drain when its time has come, and says so", async () => {
    start({ absentMeansNone: true });
    await order([{ ...OWN, expiresAtMs: systemClock.nowMs() + 400 }]);
    await eventually(async () => (await published(STATE)).length === 1);
    await eventually(async () => (await published(STATE)).length === 0);
    expect(drains.current()).toEqual([]);
    expect(told.at(-1)).toBe("drained 100 % → not drained");
  });

  test("keeps what there was while the file is broken", async () => {
    await order([OWN]);
    start({ absentMeansNone: true });
    await eventually(async () => (await published(STATE)).length === 1);
    await writeFile(path, "{");
    await eventually(() => drains.problem().includes("not JSON"));
    expect(await published(STATE)).toHaveLength(1);
    await order([]);
    await eventually(async () => (await published(STATE)).length === 0);
    expect(drains.problem()).toBe("");
  });

  test("concludes nothing from a file that is not there yet under Kubernetes", async () => {
    await store.commit(
      [{ kind: "put", key: `${STATE}own`, value: Buffer.from(JSON.stringify(OWN)) }],
      never,
    );
    start({ absentMeansNone: false });
    await writeFile(join(dirname(path), "other"), "");
    expect(await canaries()).toBe(0);
    expect(await published(STATE)).toHaveLength(1);
    await order([]);
    await eventually(async () => (await published(STATE)).length === 0);
    await eventually(async () => (await canaries()) === 2);
  });
});
