// Access to a cluster through its Kubernetes API: the objects of kubernetes-objects.ts, the
// cluster's authority in a Secret, its etcd with an admin certificate that is made for the
// occasion, and its apiserver through whatever reader is given.
import type { TrustBundle } from "../../pki/bundle.ts";
import { issueAdmin, issueRemote, type KeyedCertificate } from "../../pki/issue.ts";
import { withTimeout, type Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { ClusterProfile } from "../contexts/cluster-directory.ts";
import { PEER_LABEL, PEER_SECRET_PREFIX, READERS_CONFIG_MAP } from "../kubernetes/object-names.ts";
import { listObjects, readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { updateObject } from "../kubernetes/update-object.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { ClusterFacts, PeerStatusReader } from "./cluster-facts.ts";
import { readServiceLosses } from "./etcd-facts.ts";
import {
  gatherFacts,
  probeEndpoints,
  reachableEndpoints,
  withEtcd,
  type OpenStore,
  type WithStore,
} from "./gather-facts.ts";
import type { InsideView } from "./inside-view.ts";
import { createClusterObjects, type ClusterObjects } from "./kubernetes-cluster.ts";
import { lockWithLease } from "./kubernetes-lock.ts";
import { rememberPeerObjects } from "./kubernetes-memory.ts";
import {
  configMapFromReaders,
  installedPeerFromSecret,
  peerSecretName,
  readersFromConfigMap,
  secretFromPeer,
  type ConfigMap,
  type Secret,
} from "./kubernetes-objects.ts";
import { withTlsFiles } from "./temporary-tls.ts";

export interface KubernetesAccessOptions {
  readonly context: string;
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly openStore: OpenStore;
  readonly apiserver: PeerStatusReader;
  /** Not given to an apiserver, which is inside. */
  readonly inside?: InsideView | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A few calls to an API server that answers; putting back must not wait for one that does not. */
const CALL_LIMIT_MS = 30_000;

export function createKubernetesAccess(options: KubernetesAccessOptions): ClusterAccess {
  const { context, transport, namespace, clock, inside } = options;
  const objects = createClusterObjects(options);
  /** Verbs without a signal: what is begun is ended, and put back after an abort. */
  const limited = <T>(doing: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    withTimeout(work, {
      ms: CALL_LIMIT_MS,
      what: `Cannot ${doing} in namespace "${namespace}"`,
      clock,
      signal: new AbortController().signal,
    });
  const changeReaders = (apply: (readers: readonly string[]) => readonly string[]): Promise<void> =>
    limited("change the readers", (signal) =>
      updateObject<ConfigMap>(
        transport,
        {
          collection: objects.configMaps,
          name: READERS_CONFIG_MAP,
          change: (current) => withReaders(current, { apply, namespace }),
        },
        signal,
      ),
    );
  return {
    context,
    readProfile: () =>
      limited("read the profile", async (signal) => (await objects.readProfile(signal)).profile),
    readPeers: (signal) => options.apiserver.readPeers(signal),
    readFacts: (signal) => readFacts(options, signal),
    knowsPeer: (peer) =>
      limited("look for a peer", async (signal) => {
        const path = `${objects.secrets}/${peerSecretName(peer)}`;
        if ((await readObject(transport, path, signal)) !== undefined) return true;
        return (await objects.readReaders(signal)).includes(peer);
      }),
    readLosses: async (peer, signal) => {
      const { profile } = await objects.readProfile(signal);
      const admin = await issueAdminOf(options, { objects, profile, signal });
      const probes = await probeEndpoints({ ...options, ...admin, profile }, signal);
      const reachable = reachableEndpoints(probes);
      if (reachable.length === 0 && options.inside !== undefined) {
        return options.inside.readLosses(peer, signal);
      }
      // Where nobody answers, the store says so in its own words.
      const endpoints = reachable.length > 0 ? reachable : profile.etcdEndpoints;
      return admin.withStore(endpoints, (store) =>
        readServiceLosses(store, { cluster: profile, peer, signal }),
      );
    },
    ...(inside === undefined
      ? {}
      : { probePeer: (peer, peerSignal) => inside.probe(peer, peerSignal) }),
    signReader: (reader, request) =>
      limited("sign a certificate", async (signal) => {
        const { authority } = await objects.readAuthority(signal);
        return issueRemote(authority, { reader, request, nowMs: clock.nowMs() });
      }),
    admitReader: (reader) =>
      changeReaders((readers) => (readers.includes(reader) ? readers : [...readers, reader])),
    expelReader: (reader) =>
      changeReaders((readers) =>
        readers.includes(reader) ? readers.filter((name) => name !== reader) : readers,
      ),
    installPeer: (peer) =>
      limited("install a peer", (signal) => {
        const wanted = secretFromPeer(peer, namespace);
        const { name } = wanted.metadata;
        const change = (current: Secret | undefined): Secret => withSecret(current, wanted);
        return updateObject(transport, { collection: objects.secrets, name, change }, signal);
      }),
    removePeer: (peer) =>
      limited("remove a peer", (signal) => {
        const name = peerSecretName(peer);
        const change = (): undefined => undefined;
        return updateObject(transport, { collection: objects.secrets, name, change }, signal);
      }),
    rememberPeer: async (peer) => {
      const what = { transport, namespace, peer };
      const restore = await limited("read the connections", (signal) =>
        rememberPeerObjects(what, signal),
      );
      return () => limited("put the connections back", restore);
    },
    lock: (signal = new AbortController().signal) => lockWithLease(options, signal),
  };
}

async function readFacts(
  options: KubernetesAccessOptions,
  signal: AbortSignal,
): Promise<ClusterFacts> {
  const { transport, inside } = options;
  const objects = createClusterObjects(options);
  const { profile, settings } = await objects.readProfile(signal);
  const admin = await issueAdminOf(options, { objects, profile, signal });
  const labelled = await listObjects<Secret>(
    transport,
    `${objects.secrets}?${new URLSearchParams({ labelSelector: PEER_LABEL }).toString()}`,
    signal,
  );
  const peers = labelled
    .filter(({ metadata }) => metadata.name.startsWith(PEER_SECRET_PREFIX))
    .map(installedPeerFromSecret);
  return gatherFacts(
    {
      ...options,
      ...admin,
      profile,
      endpointsOfNodes: settings.etcdEndpoints === undefined,
      peers,
      readers: await objects.readReaders(signal),
      readInside: inside && ((insideSignal) => inside.readFacts(options.context, insideSignal)),
    },
    signal,
  );
}

/** What the cluster's etcd believes, and a certificate that makes us its admin. */
async function issueAdminOf(
  { openStore, clock }: KubernetesAccessOptions,
  cluster: { objects: ClusterObjects; profile: ClusterProfile; signal: AbortSignal },
): Promise<{ bundle: TrustBundle; client: KeyedCertificate; withStore: WithStore }> {
  const { objects, profile, signal } = cluster;
  const { authority, bundle } = await objects.readAuthority(signal);
  const { name } = profile;
  const client = await issueAdmin(authority, { cluster: name, nowMs: clock.nowMs() });
  return {
    bundle,
    client,
    withStore: (endpoints, work) =>
      withTlsFiles({ bundle, client }, (tls) =>
        withEtcd({ openStore, cluster: name, endpoints, tls }, work),
      ),
  };
}

/** Labels, annotations and keys that others have put there stay. */
function withSecret(current: Secret | undefined, wanted: Secret): Secret {
  if (current === undefined) return wanted;
  const labels = { ...current.metadata.labels, ...wanted.metadata.labels };
  return {
    ...current,
    metadata: { ...current.metadata, labels },
    data: { ...current.data, ...wanted.data },
  };
}

/** The same object if the readers stay the same, also none. */
function withReaders(
  current: ConfigMap | undefined,
  options: { apply: (readers: readonly string[]) => readonly string[]; namespace: string },
): ConfigMap | undefined {
  const readers = readersFromConfigMap(current);
  const wanted = options.apply(readers);
  if (wanted === readers) return current;
  const configMap = configMapFromReaders(wanted, options.namespace);
  return { ...(current ?? configMap), data: { ...current?.data, ...configMap.data } };
}
