// Child process of probing.ts: an agent's health and nothing else of it, on the maps that are
// pinned on the near node. The number of clusters is fixed; what it has spent is told when asked.
//
//   node probing-node.ts BPF_ROOT CLUSTERS
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { openDatapathMaps } from "../../bpf/datapath.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";
import { serviceMapsFromDatapath } from "../../agent/apply/map-adapters.ts";
import { createServiceTarget } from "../../agent/apply/service-operations.ts";
import { DEFAULT_HEALTH } from "../../agent/config.ts";
import { createServicePlanner } from "../../agent/desired/services.ts";
import { openEchoSocket } from "../../agent/health/echo-socket.ts";
import { createNodeHealth } from "../../agent/health/node-health.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { MeshNode } from "../../mesh/core/node.ts";
import { createTestIntent, createTestPeer } from "../fakes/agent-intent.ts";
import { benchLogger } from "./mirror.ts";
import { OVERLAY, OWN_PREFIXES } from "./probing-site.ts";

export interface ProbingSample {
  readonly userUs: number;
  readonly systemUs: number;
  readonly atMs: number;
  readonly rounds: number;
  readonly blindRounds: number;
  readonly targets: number;
  readonly sent: number;
  readonly answered: number;
  readonly healthy: number;
}

const NODES = 3;
const [bpfRoot = "", clusterCount = ""] = process.argv.slice(2);
const own: ClusterIdentity = { name: "own", id: 500, maxConnectedClusters: 511 };
const ifindex = interfaceIndexFromName(OVERLAY);
const maps = openDatapathMaps(bpfRoot);
const intent = createTestIntent(own);
intent.own.nodes.put("node-0", nodeOf(own, "node-0", OWN_PREFIXES));
for (let id = 1; id <= Number(clusterCount); id++) {
  const cluster: ClusterIdentity = { ...own, name: `cluster-${id}`, id };
  const peer = createTestPeer(cluster);
  for (let n = 1; n <= NODES; n++) {
    const prefixes = [`10.${id}.${n}.0/24`, `fd00:${id.toString(16)}:${n}::/64`];
    peer.nodes.put(`node-${n}`, nodeOf(cluster, `node-${n}`, prefixes));
  }
  intent.peers.put(cluster.name, peer);
}
const target = createServiceTarget(serviceMapsFromDatapath(maps));
const { health } = createNodeHealth({
  settings: DEFAULT_HEALTH,
  cluster: own,
  nodeName: "node-0",
  agent: {
    intent,
    serviceState: target.state,
    services: createServicePlanner({ intent, held: target.held, clock: systemClock }),
  },
  maps,
  openSocket: (family, source) => openEchoSocket({ family, source, ifindex }),
  flows: undefined,
  events: { emit: () => {} },
  newCookie: () => randomBytes(8).readBigUInt64LE() || 1n,
  clock: systemClock,
  kernelNowNs: () => process.hrtime.bigint(),
  log: benchLogger,
});
const end = new AbortController();
const running = health?.run(end.signal);
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => {});
process.on("message", () => process.send?.(sample()));
process.send?.("ready");
if (process.connected) await once(process, "disconnect");
end.abort("the parent has let go");
await running;
maps.close();

function sample(): ProbingSample {
  const { user, system } = process.cpuUsage();
  const status = health?.status();
  const targets = status?.targets ?? [];
  return {
    userUs: user,
    systemUs: system,
    atMs: performance.now(),
    rounds: status?.rounds ?? 0,
    blindRounds: status?.blindRounds ?? 0,
    targets: targets.length,
    sent: targets.reduce((sum, { sent }) => sum + sent, 0),
    answered: targets.reduce((sum, { answered }) => sum + answered, 0),
    healthy: (status?.view.clusters ?? []).filter(({ state }) => state === "healthy").length,
  };
}

function nodeOf(cluster: ClusterIdentity, name: string, podPrefixes: readonly string[]): MeshNode {
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    name,
    addresses: [],
    podPrefixes,
    encryptionKey: 0,
    wireguardPublicKey: "",
    bootId: "",
    labels: new Map(),
    annotations: new Map(),
  };
}
