// The chain that kubernetes.ts measures: a Kubernetes API, two clusters, an agent on real maps, and
// watchers beside it. Whatever was started is ended again, also when a later step fails or the run
// is interrupted.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeReaders } from "../../mesh/connect/connection-files.ts";
import { cacheWatchPrefix, stateWatchPrefix } from "../../mesh/kvstore/keys.ts";
import { createTestApiserver, installPeer, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { ADMIN_TOKEN, startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import type { BenchmarkContext } from "./benchmark.ts";
import { OWN_CLUSTER, OWN_NODE, REMOTE_CLUSTER } from "./endpoints.ts";
import {
  createSliceLoad,
  NAMESPACE,
  serviceName,
  SLICES,
  type SliceLoad,
} from "./kubernetes-load.ts";
import { startStopwatch, type Stopwatch } from "./stopwatch.ts";

export interface Chain {
  readonly services: number;
  readonly load: SliceLoad;
  readonly watcher: Stopwatch;
  readonly agent: Stopwatch;
  /** Watchers of both etcds on the way, for as long as they are wanted. */
  startStages(): Promise<Stages>;
  stop(): Promise<void>;
}

export interface Stages {
  /** The record of the cluster with the Kubernetes API is in its own etcd. */
  readonly exported: Stopwatch;
  /** The copy of it is in the etcd of the cluster with the node. */
  readonly mirrored: Stopwatch;
  stop(): Promise<void>;
}

const FILLED_LIMIT_MS = 120_000;

export async function startChain(context: BenchmarkContext, services: number): Promise<Chain> {
  const { signal } = context;
  const stops: Stop[] = [];
  const stop = (): Promise<void> => endAll(stops);
  try {
    context.say("  starting a Kubernetes API and two clusters");
    const api = await startTestKubernetes();
    stops.push(() => api.close());
    const load = createSliceLoad(api, services);
    stops.push(() => load.close());
    await load.fill(signal);
    const [near, far] = await startClusters(api, { services, stops, signal });
    const bpf = join(context.directory, "kubernetes-agent");
    await mkdir(bpf, { recursive: true });
    const agent = await startStopwatch("./kubernetes-agent.ts", [
      near.directory,
      near.etcdEndpoint,
      bpf,
    ]);
    stops.push(() => agent.stop());
    const watcher = await startStopwatch("./kubernetes-watcher.ts", [
      String(api.port),
      ADMIN_TOKEN,
      SLICES,
    ]);
    stops.push(() => watcher.stop());
    await eventually(async () => (await agent.arrivals()).size >= services, {
      limitMs: FILLED_LIMIT_MS,
      pollMs: 200,
      signal,
      what: "the node holds every service of the other cluster",
    });
    return {
      services,
      load,
      watcher,
      agent,
      startStages: () => startStages(near, far),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Stop = () => Promise<unknown> | void;

/** The last one first; one that fails does not keep the others running. */
async function endAll(stops: Stop[]): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of stops.splice(0).reverse()) {
    try {
      await stop();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, "Cannot end all that was started");
}

async function startStages(near: TestApiserver, far: TestApiserver): Promise<Stages> {
  const watch = (cluster: TestApiserver, prefix: string): Promise<Stopwatch> => {
    const { directory, name, etcdEndpoint } = cluster;
    return startStopwatch("./kubernetes-etcd-watcher.ts", [directory, name, etcdEndpoint, prefix]);
  };
  const exported = await watch(far, stateWatchPrefix("services", far.name));
  try {
    const mirrored = await watch(near, cacheWatchPrefix("services", far.name));
    return {
      exported,
      mirrored,
      stop: () => endAll([() => exported.stop(), () => mirrored.stop()]),
    };
  } catch (error) {
    await exported.stop();
    throw error;
  }
}

/** The cluster with the node, from manifests, which reads the one with the Kubernetes API. */
async function startClusters(
  api: TestKubernetes,
  { services, stops, signal }: { services: number; stops: Stop[]; signal: AbortSignal },
): Promise<[near: TestApiserver, far: TestApiserver]> {
  const { path } = await api.writeKubeconfig();
  const source = { kind: "kubernetes", kubeconfig: path, context: "test" };
  const far = await createTestApiserver({ ...REMOTE_CLUSTER, source });
  stops.push(() => far.close());
  const near = await createTestApiserver({ ...OWN_CLUSTER });
  stops.push(() => near.close());
  await near.manifest("cluster.json", JSON.stringify(ownObjects(services)));
  signal.throwIfAborted();
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
