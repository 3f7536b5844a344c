// A cluster for tests of drains: a directory with a profile, a context that names it, and, while
// it "runs", an apiserver's socket that answers what the test says and tells what is ordered.
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DrainCheckMessage, DrillCheckMessage } from "../../mesh/api/apiserver-client.ts";
import { createApiserverStatusServer } from "../../mesh/api/apiserver-server.ts";
import { createDirectoryDrainStore } from "../../mesh/connect/drain-store.ts";
import { parseDrainFile } from "../../mesh/drain/drain-file.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { writeContext } from "../../mesh/contexts/contexts.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";
import { createTestContext, type TestContext } from "./command-context.ts";

export interface DrainCluster {
  readonly directory: string;
  /** What CheckDrain answers. */
  check: DrainCheckMessage;
  /** What CheckDrills answers. */
  drills: DrillCheckMessage;
  /** What was asked of it. */
  readonly asked: object[];
  drains(): Promise<readonly DrainRecord[]>;
  order(drains: readonly DrainRecord[]): Promise<void>;
  /** The apiserver is gone; the directory stays. */
  stop(): void;
  close(): Promise<void>;
}

const NOTHING_SHORT: DrainCheckMessage = { affected: 1, short: [], problems: [] };

export async function createDrainCluster(options: {
  readonly home: string;
  readonly name: string;
  readonly id: number;
  readonly peers: readonly string[];
}): Promise<DrainCluster> {
  const { home, name, id, peers } = options;
  const directory = await mkdtemp(join(tmpdir(), `tombolo-dr-${name}-`));
  const paths = clusterPaths(directory);
  await mkdir(paths.run);
  const profile = {
    name,
    id,
    etcdEndpoints: ["https://127.0.0.1:1"],
    joinEndpoint: "127.0.0.1:2",
  };
  await writeFile(paths.profile, JSON.stringify(profile));
  await writeContext(home, { name, directory, networkNamespace: undefined });
  const store = createDirectoryDrainStore(directory, { clock: systemClock });
  const never = new AbortController().signal;
  const asked: object[] = [];
  const cluster: DrainCluster = {
    directory,
    check: NOTHING_SHORT,
    drills: { problem: "", failovers: [] },
    asked,
    drains: () => store.read(never),
    order: (drains) => store.change(() => drains, never),
    stop: () => server.close(),
    async close() {
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  const server = await createApiserverStatusServer({
    socketPath: paths.apiserverSocket,
    getStatus: () => ({
      ready: true,
      peers: peers.map((peer) => ({ name: peer, state: "ready", synced: true })),
      drains: readDrains(paths.drains).map((drain) => ({ ...drain, secondsLeft: 0, toldBy: name })),
    }),
    checkDrain: (request) => {
      asked.push(request);
      return cluster.check;
    },
    checkDrills: () => Promise.resolve(cluster.drills),
  });
  return cluster;
}

/** An apiserver hears of a change by a watch; looking at each question says the same. */
function readDrains(path: string): readonly DrainRecord[] {
  return existsSync(path) ? parseDrainFile(readFileSync(path, "utf8"), path) : [];
}

export interface DrainMesh extends AsyncDisposable {
  readonly home: string;
  readonly east: DrainCluster;
  readonly west: DrainCluster;
  readonly context: TestContext;
}

/** Two clusters that are connected, and a machine that knows both. */
export async function createDrainMesh(): Promise<DrainMesh> {
  const home = await mkdtemp(join(tmpdir(), "tombolo-dr-home-"));
  const east = await createDrainCluster({ home, name: "east", id: 1, peers: ["west"] });
  const west = await createDrainCluster({ home, name: "west", id: 2, peers: ["east"] });
  return {
    home,
    east,
    west,
    context: createTestContext(home),
    async [Symbol.asyncDispose]() {
      await Promise.all([east.close(), west.close()]);
      await rm(home, { recursive: true, force: true });
    },
  };
}
