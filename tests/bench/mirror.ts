// The apiserver's own mirror of one peer, between two etcds without TLS: for benchmarks that
// measure it alone. The peer's etcd is introduced as a cluster that has written everything.
import { createClaims } from "../../apiserver/mirror/claims.ts";
import { createClusterIds } from "../../apiserver/mirror/cluster-ids.ts";
import { createPeerMirror, type PeerMirror } from "../../apiserver/mirror/peer.ts";
import { systemRandom } from "../../mesh/core/backoff.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { createJsonLogger } from "../../mesh/core/logger.ts";
import { createEtcdStore, type EtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import {
  clusterConfigKey,
  EXPORTED_KINDS,
  HEARTBEAT_KEY,
  syncedKey,
} from "../../mesh/kvstore/keys.ts";
import {
  encodeClusterConfig,
  OWN_CAPABILITIES,
} from "../../mesh/kvstore/records/cluster-config.ts";
import { encodeTimestamp } from "../../mesh/kvstore/records/timestamp.ts";
import { putAll } from "./bare-etcd.ts";
import type { EtcdProcess } from "./etcd-process.ts";

/** What a mirror's log would say matters only when something goes wrong. */
export const benchLogger = createJsonLogger({
  write: (text) => void process.stderr.write(text),
  nowMs: systemClock.nowMs,
  level: "warn",
});

export function openStore(endpoint: string): EtcdStore {
  return createEtcdStore({
    endpoints: [endpoint],
    tls: undefined,
    clock: systemClock,
    random: systemRandom,
    log: benchLogger,
  });
}

/** Config, heartbeat and canaries: without them nobody reads the rest. */
export async function introduceCluster(etcd: EtcdProcess, cluster: ClusterIdentity): Promise<void> {
  const now = encodeTimestamp(systemClock.nowMs());
  const config = encodeClusterConfig({ cluster, capabilities: OWN_CAPABILITIES });
  const canaries = EXPORTED_KINDS.map((kind) =>
    syncedKey({ cluster: cluster.name, kind, cached: false }),
  );
  await putAll(etcd.client, [
    { key: Buffer.from(clusterConfigKey(cluster.name)), value: config },
    ...[HEARTBEAT_KEY, ...canaries].map((key) => ({ key: Buffer.from(key), value: now })),
  ]);
}

export function createBenchMirror(options: {
  readonly own: ClusterIdentity;
  readonly peer: string;
  readonly ownStore: EtcdStore;
  readonly peerEndpoint: string;
}): PeerMirror {
  const { own, peer, ownStore, peerEndpoint } = options;
  const file = { endpoints: [peerEndpoint], trustedCaFile: "", keyFile: "", certFile: "" };
  return createPeerMirror(
    { name: peer, file, problem: "", fingerprint: "" },
    {
      own,
      ownStore,
      openPeerStore: () => openStore(peerEndpoint),
      claims: createClaims(),
      clusterIds: createClusterIds(own),
      ownClaimsReady: () => Promise.resolve(),
      clock: systemClock,
      random: systemRandom,
      log: benchLogger,
    },
  );
}
