// What the datapath must hold for one service of our own cluster: for each of its ClusterIPs and
// ports the backends of every cluster that serves it, ranked. Pure and total; called again for
// one service whenever that service changes in any cluster, never for others.
//
// A frontend's address and port number are our own Service's; a cluster's backends belong to it
// when they carry a port of the same name and protocol, whatever its number (reference §3.3),
// and are of the same address family. `shared: false` of our own service hides our backends from
// peers, not from ourselves; a peer's service that is not shared contributes nothing.
import { parseAddress, type AddressFamily } from "../../mesh/core/address.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import {
  DEFAULT_SERVICE_SETTINGS,
  serviceKey,
  type AddressPorts,
  type ClusterService,
  type LocalService,
} from "../../mesh/core/service.ts";
import { drainGroups } from "./plan-drains.ts";
import {
  rankClusters,
  type BackendGroup,
  type ClusterBackends,
  type ServiceBackend,
} from "./rank-clusters.ts";

export type TransportProtocol = "TCP" | "UDP";

/** One ClusterIP and port of a service with everything that can answer it. */
export interface Frontend {
  /** `ADDRESS:PORT/PROTOCOL`; what the datapath looks up. */
  readonly key: string;
  /** `namespace/name`. */
  readonly service: string;
  readonly portName: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
  readonly sessionAffinitySeconds: number;
  /** Sorted by tier, then cluster id; empty when nobody serves it, and connections are refused. */
  readonly groups: readonly BackendGroup[];
}

export interface ServicePlan {
  /** Sorted by key. */
  readonly frontends: readonly Frontend[];
  /** What was left out and why; a sentence each, for status. */
  readonly notes: readonly string[];
}

export interface ServiceInputs {
  readonly local: LocalService;
  /** The service of the same name in each connected cluster that has told us all its services. */
  readonly peers: readonly ClusterService[];
  /**
   * Connected clusters whose services are not read yet, by frontend key: the backends that the
   * datapath holds of them. They count as what the cluster offers, so that an agent which has
   * just started plans the same as before.
   */
  readonly held: ReadonlyMap<string, readonly ClusterBackends[]>;
  /** Which backends are known to be down; none if left out. */
  readonly isDown?: IsBackendDown;
  /** How far a cluster is drained for this service alone; not at all if left out. */
  readonly drainedPercent?: (cluster: string) => number;
}

export type IsBackendDown = (
  backend: ServiceBackend & {
    readonly clusterId: ClusterId;
    readonly protocol: TransportProtocol;
  },
) => boolean;

/** A slot number has 16 bits. */
export const MAX_GROUP_BACKENDS = 65_535;

export function planService(inputs: ServiceInputs): ServicePlan {
  const { service } = inputs.local;
  const settings = inputs.local.settings.global
    ? inputs.local.settings
    : {
        ...DEFAULT_SERVICE_SETTINGS,
        sessionAffinitySeconds: inputs.local.settings.sessionAffinitySeconds,
      };
  const peers = settings.global ? inputs.peers.filter((peer) => peer.shared) : [];
  const notes = new Set<string>();
  const frontends = new Map<string, Frontend>();
  const addresses = [...service.frontends].sort(byFirst);
  for (const [address, ports] of addresses) {
    const { family } = parseAddress(address);
    for (const [portName, { protocol, port }] of [...ports].sort(byFirst)) {
      if (protocol === "SCTP") {
        notes.add(`Port ${port}/SCTP is not balanced: want TCP or UDP`);
        continue;
      }
      const key = frontendKey({ address, port, protocol });
      if (frontends.has(key)) {
        notes.add(`Port "${portName}" is left out: ${key} belongs to another name`);
        continue;
      }
      const wanted = { family, portName, protocol };
      const candidates = [service, ...peers].map((source) =>
        clusterBackends({ source, wanted, notes }),
      );
      const held = settings.global ? (inputs.held.get(key) ?? []) : [];
      frontends.set(key, {
        key,
        service: serviceKey(service),
        portName,
        address,
        port,
        protocol,
        sessionAffinitySeconds: settings.sessionAffinitySeconds,
        groups: drainGroups(
          rankClusters(
            mergeHeld(candidates, held).map((offer) =>
              countHealthy(offer, protocol, inputs.isDown),
            ),
            { settings, localCluster: service.cluster },
          ),
          {
            percentOf: inputs.drainedPercent ?? (() => 0),
            hasSessions: settings.sessionAffinitySeconds > 0,
          },
        ),
      });
    }
  }
  return { frontends: [...frontends.values()], notes: [...notes] };
}

export function frontendKey(frontend: {
  readonly address: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
}): string {
  const { address, port, protocol } = frontend;
  return `${address.includes(":") ? `[${address}]` : address}:${port}/${protocol}`;
}

/** Whether two plans of one frontend would fill the datapath alike. */
export function sameFrontend(a: Frontend, b: Frontend): boolean {
  return (
    a.key === b.key &&
    a.service === b.service &&
    a.portName === b.portName &&
    a.sessionAffinitySeconds === b.sessionAffinitySeconds &&
    a.groups.length === b.groups.length &&
    a.groups.every((group, i) => sameGroup(group, b.groups[i]))
  );
}

function sameGroup(a: BackendGroup, b: BackendGroup | undefined): boolean {
  return (
    b !== undefined &&
    a.clusterId === b.clusterId &&
    a.cluster === b.cluster &&
    a.tier === b.tier &&
    a.weight === b.weight &&
    a.backends.length === b.backends.length &&
    a.backends.every((backend, i) => {
      const other = b.backends[i];
      return backend.address === other?.address && backend.port === other.port;
    })
  );
}

/** What a cluster has told us wins over what the datapath holds of it. */
function mergeHeld(
  candidates: readonly ClusterBackends[],
  held: readonly ClusterBackends[],
): ClusterBackends[] {
  const known = new Set<ClusterId>(candidates.map(({ clusterId }) => clusterId));
  return [...candidates, ...held.filter(({ clusterId }) => !known.has(clusterId))];
}

function countHealthy(
  offer: ClusterBackends,
  protocol: TransportProtocol,
  isDown: IsBackendDown | undefined,
): ClusterBackends {
  if (isDown === undefined) return offer;
  const { clusterId, backends } = offer;
  let healthy = 0;
  for (const { address, port } of backends) {
    if (!isDown({ clusterId, address, port, protocol })) healthy++;
  }
  return healthy === backends.length ? offer : { ...offer, healthy };
}

function clusterBackends(options: {
  source: ClusterService;
  wanted: { family: AddressFamily; portName: string; protocol: TransportProtocol };
  notes: Set<string>;
}): ClusterBackends {
  const { source, wanted, notes } = options;
  const { cluster, clusterId } = source;
  const ready = matchingBackends(source.backends, wanted);
  const leaving = ready.length === 0 && source.leaving !== undefined;
  const all = leaving ? matchingBackends(source.leaving, wanted) : ready;
  if (all.length > MAX_GROUP_BACKENDS) {
    notes.add(
      `Only ${MAX_GROUP_BACKENDS} of ${all.length} backends of cluster "${cluster}" are used for port "${wanted.portName}"`,
    );
  }
  const backends = all.slice(0, MAX_GROUP_BACKENDS);
  return { cluster, clusterId, backends, ...(leaving ? { leaving } : {}) };
}

function matchingBackends(
  backends: AddressPorts,
  wanted: { family: AddressFamily; portName: string; protocol: TransportProtocol },
): ServiceBackend[] {
  const found: ServiceBackend[] = [];
  for (const [address, ports] of backends) {
    if ((address.includes(":") ? 6 : 4) !== wanted.family) continue;
    const target = ports.get(wanted.portName);
    if (target === undefined || target.protocol !== wanted.protocol) continue;
    found.push({ address, port: target.port });
  }
  // By text: any total order will do, as long as it is the same in every plan.
  return found.sort((a, b) => compareText(a.address, b.address));
}

function byFirst(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return compareText(a[0], b[0]);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
