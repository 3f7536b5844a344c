// Access to a cluster through its directory on this machine: the files of connection-files.ts,
// the cluster's CA, its etcd by the admin certificate, and its apiserver's socket.
import type { Clock } from "../core/clock.ts";
import { clusterPaths, readClusterProfile } from "../contexts/cluster-directory.ts";
import type { ClusterProfile } from "../contexts/cluster-directory.ts";
import { pkiPaths, readAuthority, readBundle, readKeyedCertificate } from "../../pki/files.ts";
import { issueRemote } from "../../pki/issue.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { ClusterFacts, PeerStatusReader } from "./cluster-facts.ts";
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
import { readServiceLosses } from "./etcd-facts.ts";
import { gatherFacts, withEtcd, type OpenStore, type WithStore } from "./gather-facts.ts";

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
      return storeOpener(options, cluster)(cluster.etcdEndpoints, (store) =>
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
  return gatherFacts(
    {
      ...options,
      profile,
      endpointsOfNodes: false,
      bundle: await readBundle(pki.caBundle),
      client: await readKeyedCertificate(pki.adminCertificate, pki.adminKey),
      peers: await readInstalledPeers(directory),
      readers: await readReaders(directory),
      withStore: storeOpener(options, profile),
    },
    signal,
  );
}

function storeOpener(options: DirectoryAccessOptions, { name }: ClusterProfile): WithStore {
  const pki = pkiPaths(clusterPaths(options.directory).pki);
  const tls = { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey };
  return (endpoints, work) => withEtcd({ ...options, cluster: name, endpoints, tls }, work);
}
