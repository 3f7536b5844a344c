// From a way in to a cluster to its facts: asks its etcd endpoints who they are, its etcd what it
// holds, and its apiserver whether it answers. The same for every kind of access.
import { isMeshError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { ClusterProfile } from "../contexts/cluster-directory.ts";
import type { ReadableStore } from "../kvstore/store.ts";
import type { TlsFiles } from "../kvstore/tls.ts";
import type { TrustBundle } from "../../pki/bundle.ts";
import { meshServerName } from "../../pki/common-names.ts";
import type { KeyedCertificate } from "../../pki/issue.ts";
import type {
  ClusterFacts,
  EndpointFacts,
  InstalledPeer,
  PeerStatusReader,
} from "./cluster-facts.ts";
import { probeEndpoint } from "./endpoint-probe.ts";
import { readEtcdFacts, type EtcdFacts } from "./etcd-facts.ts";
import type { InsideFacts } from "./inside-view.ts";

/** Opens a connection to a cluster's etcd for a few reads. */
export type OpenStore = (options: {
  readonly endpoints: readonly string[];
  readonly serverName: string;
  readonly tls: TlsFiles;
}) => { readonly store: ReadableStore; close(): void };

export type WithStore = <T>(
  endpoints: readonly string[],
  work: (store: ReadableStore) => Promise<T>,
) => Promise<T>;

/** Who an endpoint must be, and who asks. */
export interface EndpointsSource {
  readonly profile: ClusterProfile;
  readonly bundle: TrustBundle;
  /** The admin certificate. */
  readonly client: KeyedCertificate;
  readonly clock: Clock;
}

export interface FactsSource extends EndpointsSource {
  readonly context: string;
  /**
   * Whether the endpoints are those of the nodes: etcd answers at one of them, and what the others
   * do not say is no finding.
   */
  readonly endpointsOfNodes: boolean;
  readonly peers: readonly InstalledPeer[];
  readonly readers: readonly string[];
  readonly apiserver: PeerStatusReader;
  /** Runs `work` on the cluster's etcd at these endpoints, as admin. */
  readonly withStore: WithStore;
  /** The same from inside the cluster: asked when no endpoint answers from here. */
  readonly readInside?: ((signal: AbortSignal) => Promise<InsideFacts>) | undefined;
}

export async function gatherFacts(source: FactsSource, signal: AbortSignal): Promise<ClusterFacts> {
  const { context, profile, bundle, readers } = source;
  const { ids, ...etcd } = await lookAtEtcd(source, signal);
  const reachable = reachableEndpoints(etcd.endpoints);
  return {
    ...etcd,
    context,
    profile,
    bundle,
    endpoints:
      source.endpointsOfNodes && reachable.length > 0
        ? etcd.endpoints.filter(({ endpoint }) => reachable.includes(endpoint))
        : etcd.endpoints,
    apiserverProblem: await apiserverProblem(source.apiserver, signal),
    peers: source.peers.map((peer) => ({ ...peer, id: ids.get(peer.name) })),
    readers,
  };
}

/** Asks every endpoint of the profile who it is. */
export async function probeEndpoints(
  source: EndpointsSource,
  signal: AbortSignal,
): Promise<readonly EndpointFacts[]> {
  const { profile, bundle, client, clock } = source;
  const serverName = meshServerName(profile.name);
  return Promise.all(
    profile.etcdEndpoints.map((endpoint) =>
      probeEndpoint({ endpoint, serverName, bundle, client, clock }, signal),
    ),
  );
}

export function reachableEndpoints(probes: readonly EndpointFacts[]): readonly string[] {
  return probes.filter(({ answer }) => answer.kind === "reachable").map(({ endpoint }) => endpoint);
}

/** Runs `work` on the etcd of a cluster. */
export async function withEtcd<T>(
  options: {
    openStore: OpenStore;
    cluster: string;
    endpoints: readonly string[];
    tls: TlsFiles;
  },
  work: (store: ReadableStore) => Promise<T>,
): Promise<T> {
  const { cluster, endpoints, tls } = options;
  const opened = options.openStore({ endpoints, serverName: meshServerName(cluster), tls });
  try {
    return await work(opened.store);
  } finally {
    opened.close();
  }
}

/** Peers by name, with the ids that etcd knows. */
type EtcdView = Pick<
  ClusterFacts,
  "advertised" | "encryption" | "endpoints" | "prefixes" | "version"
> & { readonly ids: ReadonlyMap<string, number | undefined> };

/** From here if any endpoint answers here, or else from inside, if there is a way. */
async function lookAtEtcd(source: FactsSource, signal: AbortSignal): Promise<EtcdView> {
  const probes = await probeEndpoints(source, signal);
  const reachable = reachableEndpoints(probes);
  // Somebody else's etcd is a finding whoever looks.
  const silent = probes.every(({ answer }) => answer.kind === "unreachable");
  if (silent && source.readInside !== undefined) {
    try {
      return viewFromInside(await source.readInside(signal));
    } catch (error) {
      if (isMeshError(error, "aborted")) throw error;
      // What was found from here stands; the apiserver has a finding of its own if it is silent.
    }
  }
  const { clusters, ...etcd } = await readEtcd(source, { reachable, signal });
  return {
    ...etcd,
    endpoints: probes,
    advertised: clusters.find(({ name }) => name === source.profile.name),
    ids: new Map(clusters.map(({ name, id }) => [name, id])),
  };
}

function viewFromInside({ peers, ...inside }: InsideFacts): EtcdView {
  return { ...inside, ids: new Map(peers.map(({ name, id }) => [name, id])) };
}

/** An etcd that the probe could not reach has its finding already and is not asked again. */
async function readEtcd(
  source: FactsSource,
  { reachable, signal }: { reachable: readonly string[]; signal: AbortSignal },
): Promise<EtcdFacts> {
  if (reachable.length === 0) return { clusters: [], prefixes: [], encryption: [], version: "" };
  const cluster = source.profile;
  return source.withStore(reachable, (store) => readEtcdFacts(store, { cluster, signal }));
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
