// Whom a rule's peer means, as planes: exact identities, numbers of CIDRs, or aggregates that stand
// for many. Equal peers are one set, whoever uses it; whoever uses one is told of its changes.
//
//   peer                          planes
//   anybody, entity `all`         0
//   pods: every one of the mesh   11, 12      (no condition, or only that there is a cluster)
//   pods: every one of ours       11          (no condition but the own cluster's name)
//   pods: any other selector      each identity that it means
//   cidr                          each number in it; of 0.0.0.0/0 and ::/0 also 9 or 10
//   world                         13          (2, 9, 10 and the number of every CIDR)
//   world-ipv4, world-ipv6        as 0.0.0.0/0, ::/0
//   cluster                       11, and 1, 4, 5, 6, 7, 8: these cannot be told apart by cluster
//   host                          1
//   remote-node                   6, 7        (nodes where a kube-apiserver runs are nodes)
//   health, init, ingress, unmanaged          4, 5, 8, 3
//   none                          none
import { RESERVED_IDENTITY, type IdentityNumber } from "../../mesh/core/identity.ts";
import type { PolicyEntity, PolicyPeer } from "../../mesh/core/policy.ts";
import type { LabelSelector } from "../../mesh/core/selector.ts";
import type { CidrNumbers, NumberedPrefix } from "./cidr-numbers.ts";
import { cidrKey, createCidrSets, type CidrSet } from "./cidr-sets.ts";
import { AGGREGATE, isOrdinaryIdentity } from "./entry.ts";
import { createSelectorCache, selectorKey, type CachedSelector } from "./selector-cache.ts";

/** Whoever wants to know when a set gains or loses a plane. */
export interface PeerSetUser {
  touch(plane: IdentityNumber): void;
}

export interface PeerSet {
  /** The same for equal peers. */
  readonly key: string;
  readonly planes: ReadonlySet<IdentityNumber>;
  readonly users: Set<PeerSetUser>;
}

export interface PeerSets {
  /** Undefined is anybody. To be given back as often as it was acquired. */
  acquire(peer: PolicyPeer | undefined): PeerSet;
  release(set: PeerSet): void;
  /** All sets in use that have the plane. */
  setsOf(plane: IdentityNumber): Iterable<PeerSet>;
  setIdentity(identity: IdentityNumber, labels: readonly string[] | undefined): void;
  /** To be told of every number that comes or goes. */
  follow(numbered: NumberedPrefix, what: "came" | "went"): void;
}

export interface PeerSetsOptions {
  readonly ownCluster: string;
  readonly numbers: Pick<CidrNumbers, "acquire" | "release" | "within">;
}

/** Part of every pod's identity; Cilium's name for it. */
export const CLUSTER_LABEL = "k8s:io.cilium.k8s.policy.cluster";
const CLUSTER_LABEL_KEYS: ReadonlySet<string> = new Set([
  CLUSTER_LABEL,
  "any:io.cilium.k8s.policy.cluster",
]);

const { host, unmanaged, health, init, ingress } = RESERVED_IDENTITY;
const REMOTE_NODES = [RESERVED_IDENTITY["remote-node"], RESERVED_IDENTITY["kube-apiserver"]];

const ENTITY_PLANES: Readonly<
  Record<Exclude<PolicyEntity, "world-ipv4" | "world-ipv6">, readonly IdentityNumber[]>
> = {
  all: [AGGREGATE.anybody],
  world: [AGGREGATE.world],
  cluster: [AGGREGATE.cluster, host, health, init, ...REMOTE_NODES, ingress],
  host: [host],
  "remote-node": REMOTE_NODES,
  health: [health],
  init: [init],
  ingress: [ingress],
  unmanaged: [unmanaged],
  none: [],
};

type Source =
  | { readonly kind: "planes" }
  | { readonly kind: "selector"; readonly cached: CachedSelector }
  | { readonly kind: "cidr"; readonly cidr: CidrSet };

interface Kept extends PeerSet {
  readonly source: Source;
  uses: number;
}

export function createPeerSets({ ownCluster, numbers }: PeerSetsOptions): PeerSets {
  const sets = new Map<string, Kept>();
  const selectors = createSelectorCache({ onChange: (cached, identity) => tell(cached, identity) });
  const cidrs = createCidrSets({ numbers, onChange: (cidr, number) => tell(cidr, number) });
  const bySource = new Map<CachedSelector | CidrSet, Kept>();
  /** Sets without pods, whose planes are few, by plane. */
  const byPlane = new Map<IdentityNumber, Set<Kept>>();

  function tell(source: CachedSelector | CidrSet, plane: IdentityNumber): void {
    const kept = bySource.get(source);
    if (kept === undefined) return;
    if (kept.source.kind === "cidr") place(kept, plane);
    for (const user of kept.users) user.touch(plane);
  }

  function place(kept: Kept, plane: IdentityNumber): void {
    const placed = byPlane.get(plane) ?? new Set<Kept>();
    if (kept.planes.has(plane) && kept.uses > 0) {
      byPlane.set(plane, placed.add(kept));
    } else {
      placed.delete(kept);
      if (placed.size === 0) byPlane.delete(plane);
    }
  }

  function add(peer: PlainPeer, key: string): Kept {
    const kept: Kept = { key, ...open(peer), users: new Set(), uses: 0 };
    sets.set(key, kept);
    const { source } = kept;
    if (source.kind === "selector") bySource.set(source.cached, kept);
    if (source.kind === "cidr") bySource.set(source.cidr, kept);
    return kept;
  }

  function open(peer: PlainPeer): { readonly planes: PeerSet["planes"]; readonly source: Source } {
    if (peer.kind === "planes") return { planes: new Set(peer.planes), source: peer };
    if (peer.kind === "pods") {
      const cached = selectors.acquire(peer.selector);
      return { planes: cached.members, source: { kind: "selector", cached } };
    }
    const cidr = cidrs.acquire(peer.cidr, peer.except);
    return { planes: cidr.members, source: { kind: "cidr", cidr } };
  }

  function close({ key, source }: Kept): void {
    sets.delete(key);
    if (source.kind === "selector") {
      bySource.delete(source.cached);
      selectors.release(source.cached);
    } else if (source.kind === "cidr") {
      bySource.delete(source.cidr);
      cidrs.release(source.cidr);
    }
  }

  return {
    acquire(given) {
      const peer = plainPeer(given, ownCluster);
      const key = keyOf(peer);
      const kept = sets.get(key) ?? add(peer, key);
      if (kept.uses++ === 0 && kept.source.kind !== "selector") {
        for (const plane of kept.planes) place(kept, plane);
      }
      return kept;
    },
    release({ key }) {
      const kept = sets.get(key);
      if (kept === undefined || --kept.uses > 0) return;
      if (kept.source.kind !== "selector") for (const plane of kept.planes) place(kept, plane);
      close(kept);
    },
    *setsOf(plane) {
      if (!isOrdinaryIdentity(plane)) {
        yield* byPlane.get(plane) ?? [];
        return;
      }
      for (const cached of selectors.selectorsOf(plane)) {
        const kept = bySource.get(cached);
        if (kept !== undefined) yield kept;
      }
    },
    setIdentity(identity, labels) {
      // Hosts and the world are meant by entities, never by labels.
      if (isOrdinaryIdentity(identity)) selectors.setIdentity(identity, labels);
    },
    follow: (numbered, what) => cidrs.follow(numbered, what),
  };
}

type PlainPeer =
  | { readonly kind: "planes"; readonly planes: readonly IdentityNumber[] }
  | Extract<PolicyPeer, { readonly kind: "pods" | "cidr" }>;

function plainPeer(peer: PolicyPeer | undefined, ownCluster: string): PlainPeer {
  if (peer === undefined) return { kind: "planes", planes: ENTITY_PLANES.all };
  switch (peer.kind) {
    case "cidr":
      return { kind: "cidr", cidr: peer.cidr, except: peer.except };
    case "pods": {
      const planes = wholeClusters(peer.selector, ownCluster);
      const { selector } = peer;
      return planes === undefined ? { kind: "pods", selector } : { kind: "planes", planes };
    }
    case "entity":
      if (peer.entity === "world-ipv4") return { kind: "cidr", cidr: "0.0.0.0/0", except: [] };
      if (peer.entity === "world-ipv6") return { kind: "cidr", cidr: "::/0", except: [] };
      return { kind: "planes", planes: ENTITY_PLANES[peer.entity] };
  }
}

function keyOf(peer: PlainPeer): string {
  switch (peer.kind) {
    case "planes":
      return peer.planes.join();
    case "pods":
      return selectorKey(peer.selector);
    case "cidr":
      return cidrKey(peer.cidr, peer.except);
  }
}

/** The aggregates that are exactly the selector's pods, if there are such. */
export function wholeClusters(
  selector: LabelSelector,
  ownCluster: string,
): readonly IdentityNumber[] | undefined {
  const named: (readonly string[])[] = [];
  for (const { key, operator, values } of selector) {
    if (!CLUSTER_LABEL_KEYS.has(key)) return undefined;
    if (operator === "In") named.push(values);
    else if (operator !== "Exists") return undefined;
  }
  if (named.length === 0) return [AGGREGATE.cluster, AGGREGATE.clustermesh];
  const isOwn = named.every(([only, ...rest]) => only === ownCluster && rest.length === 0);
  return isOwn ? [AGGREGATE.cluster] : undefined;
}
