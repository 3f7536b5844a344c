// Who stands behind a number or an address, for people: labels, cluster and pod, by what intent,
// the reserved numbers and this node's own numbers of CIDRs say at one moment.
import type { ClusterId, ClusterIdentity } from "../../mesh/core/cluster.ts";
import {
  clusterIdOfIdentity,
  FIRST_ORDINARY_IDENTITY,
  reservedIdentityName,
  type IdentityNumber,
} from "../../mesh/core/identity.ts";
import type { ClusterIntent, Intent } from "../intent/intent.ts";
import type { CidrRow, PolicyEngine } from "../policy/engine.ts";
import { FIRST_CIDR_NUMBER } from "../policy/entry.ts";

export interface KnownIdentity {
  readonly number: IdentityNumber;
  /** "" for what belongs to none. */
  readonly cluster: string;
  /** `k8s:app=cart`, `reserved:world`, `cidr:10.0.0.0/8`; none where nobody has told. */
  readonly labels: readonly string[];
}

export interface KnownPod {
  readonly namespace: string;
  readonly name: string;
}

export interface IdentityBook {
  identity(number: IdentityNumber): KnownIdentity;
  /** The prefix behind a number of this node's own; "" for all others. */
  prefixOf(number: IdentityNumber): string;
  /** The pod that the identity's cluster says has the address. */
  podAt(address: string, identity: IdentityNumber): KnownPod | undefined;
  /** Own first. */
  clusters(): Iterable<ClusterIntent>;
  /** By its name; our own for "". */
  cluster(name: string): ClusterIntent | undefined;
}

export interface IdentityBookParts {
  readonly intent: Pick<Intent, "own" | "peers">;
  readonly cluster: Pick<ClusterIdentity, "maxConnectedClusters">;
  readonly engine: Pick<PolicyEngine, "rows">;
}

/** Cheap to open, and to be opened anew for every question: it does not follow what changes. */
export function openIdentityBook({ intent, cluster, engine }: IdentityBookParts): IdentityBook {
  const { maxConnectedClusters } = cluster;
  const byId = new Map<ClusterId, ClusterIntent>();
  for (const [, peer] of intent.peers.entries()) byId.set(peer.cluster.id, peer);
  byId.set(intent.own.cluster.id, intent.own);
  let prefixes: ReadonlyMap<IdentityNumber, string> | undefined;

  function prefixOf(number: IdentityNumber): string {
    if (number < FIRST_CIDR_NUMBER) return "";
    prefixes ??= prefixesByNumber(engine.rows());
    return prefixes.get(number) ?? "";
  }

  function clusterOf(number: IdentityNumber): ClusterIntent | undefined {
    if (number < FIRST_ORDINARY_IDENTITY || number >= FIRST_CIDR_NUMBER) return undefined;
    return byId.get(clusterIdOfIdentity(number, maxConnectedClusters));
  }

  return {
    prefixOf,
    identity(number) {
      const from = clusterOf(number);
      if (from !== undefined) {
        const labels = from.identities.get(String(number))?.labels ?? [];
        return { number, cluster: from.cluster.name, labels };
      }
      const prefix = prefixOf(number);
      const reserved = reservedIdentityName(number);
      const labels = prefix === "" ? [] : [`cidr:${prefix}`];
      if (reserved !== undefined) labels.push(`reserved:${reserved}`);
      return { number, cluster: "", labels };
    },
    podAt(address, identity) {
      const record = clusterOf(identity)?.endpoints.get(address);
      if (record === undefined || record.podName === "") return undefined;
      return { namespace: record.namespace, name: record.podName };
    },
    *clusters() {
      yield intent.own;
      for (const [, peer] of intent.peers.entries()) yield peer;
    },
    cluster(name) {
      const isOwn = name === "" || name === intent.own.cluster.name;
      return isOwn ? intent.own : intent.peers.get(name);
    },
  };
}

function prefixesByNumber(rows: readonly CidrRow[]): ReadonlyMap<IdentityNumber, string> {
  return new Map(
    rows
      .filter(({ identity }) => identity >= FIRST_CIDR_NUMBER)
      .map(({ identity, prefix }) => [identity, prefix]),
  );
}
