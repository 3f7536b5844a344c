// Whether the others can take over before a cluster is drained: by one cluster's own view of its
// global services. Pure. A service is short where no other cluster alone has as many ready
// backends for each of its ports as `min-healthy` asks for (one, if nothing is said).
import { addressFromText, type AddressFamily } from "../core/address.ts";
import {
  serviceKey,
  type AddressPorts,
  type ClusterService,
  type LocalService,
  type MinHealthy,
} from "../core/service.ts";

export interface CapacityQuestion {
  /** The cluster that is to be drained. */
  readonly cluster: string;
  /** "NAMESPACE/NAME"; empty for all. */
  readonly services: readonly string[];
}

/** What one cluster knows of its services and of its peers' offers. */
export interface CapacityView {
  readonly own: Iterable<LocalService>;
  readonly peers: Iterable<ClusterService>;
  /** Clusters that are drained already, so far that they take nobody over. */
  readonly drained: ReadonlySet<string>;
}

export interface Shortfall {
  readonly service: string;
  /** "http 80/TCP over IPv4". */
  readonly port: string;
  readonly needed: number;
  /** The one that has most; "" if no other cluster has any. */
  readonly bestCluster: string;
  readonly bestBackends: number;
}

export interface CapacityAnswer {
  /** Global services that have backends in the cluster, or those of the named ones that do. */
  readonly affected: number;
  readonly short: readonly Shortfall[];
  /** Named services that cannot be drained there, and why; a sentence each. */
  readonly problems: readonly string[];
}

/** Counted for one port in one family. */
interface PortCounts {
  readonly label: string;
  readonly byCluster: Map<string, number>;
}

export function checkCapacity(question: CapacityQuestion, view: CapacityView): CapacityAnswer {
  const offers = new Map<string, ClusterService[]>();
  for (const peer of view.peers) {
    if (!peer.shared) continue;
    const key = serviceKey(peer);
    const known = offers.get(key);
    if (known === undefined) offers.set(key, [peer]);
    else known.push(peer);
  }
  const wanted = new Set(question.services);
  const found = new Set<string>();
  const short: Shortfall[] = [];
  const problems: string[] = [];
  let affected = 0;
  for (const local of view.own) {
    const key = serviceKey(local.service);
    if (wanted.size > 0 && !wanted.has(key)) continue;
    found.add(key);
    if (!local.settings.global) {
      if (wanted.size > 0) problems.push(`${key} is not global: it has nowhere else to go`);
      continue;
    }
    const ports = countPorts(local, offers.get(key) ?? []);
    const concerned = ports.filter(({ byCluster }) => (byCluster.get(question.cluster) ?? 0) > 0);
    if (concerned.length === 0) {
      if (wanted.size > 0) problems.push(`${key} has no backends in "${question.cluster}"`);
      continue;
    }
    affected++;
    for (const port of concerned) {
      const lack = shortfallOf(port, { key, local, question, drained: view.drained });
      if (lack !== undefined) short.push(lack);
    }
  }
  for (const key of wanted) if (!found.has(key)) problems.push(`${key} does not exist`);
  short.sort((a, b) => (`${a.service} ${a.port}` < `${b.service} ${b.port}` ? -1 : 1));
  return { affected, short, problems: problems.sort() };
}

function countPorts(local: LocalService, peers: readonly ClusterService[]): PortCounts[] {
  const ports = new Map<string, PortCounts>();
  for (const [address, named] of local.service.frontends) {
    const family = familyOf(address);
    if (family === undefined) continue;
    for (const [name, { protocol, port }] of named) {
      const id = `${family} ${name} ${protocol}`;
      if (ports.has(id)) continue;
      const byCluster = new Map<string, number>();
      for (const offer of [local.service, ...peers]) {
        const count = countBackends(offer.backends, { family, name, protocol });
        if (count > 0) byCluster.set(offer.cluster, count);
      }
      const title = name === "" ? "" : `${name} `;
      ports.set(id, { label: `${title}${port}/${protocol} over IPv${family}`, byCluster });
    }
  }
  return [...ports.values()];
}

function countBackends(
  backends: AddressPorts,
  wanted: { family: AddressFamily; name: string; protocol: string },
): number {
  let count = 0;
  for (const [address, named] of backends) {
    if (familyOf(address) !== wanted.family) continue;
    if (named.get(wanted.name)?.protocol === wanted.protocol) count++;
  }
  return count;
}

function shortfallOf(
  { label, byCluster }: PortCounts,
  about: {
    readonly key: string;
    readonly local: LocalService;
    readonly question: CapacityQuestion;
    readonly drained: ReadonlySet<string>;
  },
): Shortfall | undefined {
  const { settings } = about.local;
  let bestCluster = "";
  let bestBackends = 0;
  for (const [cluster, backends] of byCluster) {
    if (cluster === about.question.cluster || about.drained.has(cluster)) continue;
    if (settings.weights.get(cluster) === 0) continue;
    if (backends > bestBackends) [bestCluster, bestBackends] = [cluster, backends];
  }
  const needed = Math.max(1, minimumOf(settings.minHealthy, byCluster));
  if (bestBackends >= needed) return undefined;
  return { service: about.key, port: label, needed, bestCluster, bestBackends };
}

/** A percentage is of the most backends that any cluster has, as in the planner. */
function minimumOf(
  minHealthy: MinHealthy | undefined,
  byCluster: ReadonlyMap<string, number>,
): number {
  if (minHealthy === undefined) return 1;
  if (minHealthy.kind === "count") return minHealthy.count;
  return Math.ceil((Math.max(0, ...byCluster.values()) * minHealthy.percent) / 100);
}

function familyOf(address: string): AddressFamily | undefined {
  return addressFromText(address)?.family;
}
