// Access to a cluster through its directory on this machine: the files of connection-files.ts,
// the cluster's CA, its etcd by the admin certificate, and its apiserver's socket.
import type { Clock } from "../core/clock.ts";
import { isMeshError } from "../core/errors.ts";
import { clusterPaths, readClusterProfile } from "../contexts/cluster-directory.ts";
import type { ClusterProfile } from "../contexts/cluster-directory.ts";
import type { ReadableStore } from "../kvstore/store.ts";
import type { TlsFiles } from "../kvstore/tls.ts";
import { pkiPaths, readAuthority, readBundle, readKeyedCertificate } from "../../pki/files.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { issueRemote } from "../../pki/issue.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { ClusterFacts, EndpointFacts, PeerStatusReader } from "./cluster-facts.ts";
import {
  deletePeer,
  hasPeerFiles,
  lockConnections,
  readInstalledPeers,
  readReaders,
  rememberPeerFiles,
  writePeer,
  writeReaders,
} from "./connection-files.ts";
import { probeEndpoint } from "./endpoint-probe.ts";
import { readEtcdFacts, readServiceLosses, type EtcdFacts } from "./etcd-facts.ts";

/** Opens a connection to a cluster's etcd for a few reads. */
export type OpenStore = (options: {
  readonly endpoints: readonly string[];
  readonly serverName: string;
  readonly tls: TlsFiles;
}) => { readonly store: ReadableStore; close(): void };

export interface DirectoryAccessOptions {
  readonly context: string;
  /** The cluster directory. */
  readonly directory: string;
  readonly openStore: OpenStore;
  readonly apiserver: PeerStatusReader;
  readonly clock: Clock;
}

export function createDirectoryAccess(options: DirectoryAccessOptions): ClusterAccess {
  const { context, directory, clock } = options;
  const paths = clusterPaths(directory);
  return {
    context,
    readProfile: () => readClusterProfile(directory),
    readPeers: (signal) => options.apiserver.readPeers(signal),
    readFacts: (signal) => readFacts(options, signal),
    knowsPeer: async (peer) =>
      (await hasPeerFiles(directory, peer)) || (await readReaders(directory)).includes(peer),
    readLosses: async (peer, signal) => {
      const cluster = await readClusterProfile(directory);
      return withStore({ ...options, profile: cluster }, (store) =>
        readServiceLosses(store, { cluster, peer, signal }),
      );
    },
    signReader: async (reader, request) => {
      const authority = await readAuthority(paths.pki);
      return issueRemote(authority, { reader, request, nowMs: clock.nowMs() });
    },
    admitReader: async (reader) => {
      const readers = await readReaders(directory);
      if (!readers.includes(reader)) await writeReaders(directory, [...readers, reader]);
    },
    expelReader: async (reader) => {
      const readers = await readReaders(directory);
      if (!readers.includes(reader)) return;
      await writeReaders(
        directory,
        readers.filter((name) => name !== reader),
      );
    },
    installPeer: (peer) => writePeer(directory, peer),
    removePeer: (peer) => deletePeer(directory, peer),
    rememberPeer: (peer) => rememberPeerFiles(directory, peer),
    lock: () => lockConnections(directory),
  };
}

async function readFacts(
  options: DirectoryAccessOptions,
  signal: AbortSignal,
): Promise<ClusterFacts> {
  const { directory } = options;
  const profile = await readClusterProfile(directory);
  const pki = pkiPaths(clusterPaths(directory).pki);
  const bundle = await readBundle(pki.caBundle);
  const client = await readKeyedCertificate(pki.adminCertificate, pki.adminKey);
  const serverName = meshServerName(profile.name);
  const endpoints = await Promise.all(
    profile.etcdEndpoints.map((endpoint) =>
      probeEndpoint({ endpoint, serverName, bundle, client, clock: options.clock }, signal),
    ),
  );
  const etcd = await readEtcd({ ...options, profile, endpoints }, signal);
  const peers = await readInstalledPeers(directory);
  const idOf = (name: string): number | undefined =>
    etcd.clusters.find((cluster) => cluster.name === name)?.id;
  return {
    context: options.context,
    profile,
    bundle,
    endpoints,
    prefixes: etcd.prefixes,
    encryption: etcd.encryption,
    advertised: etcd.clusters.find(({ name }) => name === profile.name),
    apiserverProblem: await apiserverProblem(options.apiserver, signal),
    version: etcd.version,
    peers: peers.map((peer) => ({ ...peer, id: idOf(peer.name) })),
    readers: await readReaders(directory),
  };
}

async function apiserverProblem(
  apiserver: PeerStatusReader,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await apiserver.readPeers(signal);
    return undefined;
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/** An etcd that the probe could not reach has its finding already and is not asked again. */
async function readEtcd(
  options: DirectoryAccessOptions & {
    profile: ClusterProfile;
    endpoints: readonly EndpointFacts[];
  },
  signal: AbortSignal,
): Promise<EtcdFacts> {
  const nothing: EtcdFacts = { clusters: [], prefixes: [], encryption: [], version: "" };
  if (!options.endpoints.some(({ answer }) => answer.kind === "reachable")) return nothing;
  return withStore(options, (store) => readEtcdFacts(store, { cluster: options.profile, signal }));
}

async function withStore<T>(
  options: DirectoryAccessOptions & { profile: ClusterProfile },
  work: (store: ReadableStore) => Promise<T>,
): Promise<T> {
  const pki = pkiPaths(clusterPaths(options.directory).pki);
  const opened = options.openStore({
    endpoints: options.profile.etcdEndpoints,
    serverName: meshServerName(options.profile.name),
    tls: { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey },
  });
  try {
    return await work(opened.store);
  } finally {
    opened.close();
  }
}
