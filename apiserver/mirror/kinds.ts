// The kinds that are mirrored: how each is read at the peer and where it stands in our cache.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { createTable } from "../../mesh/core/table.ts";
import {
  cachedDrainsPrefix,
  cacheWatchPrefix,
  drainsSyncedKey,
  EXPORTED_KINDS,
  syncedKey,
  type ExportedKind,
} from "../../mesh/kvstore/keys.ts";
import {
  drainsKind,
  endpointsKind,
  identitiesKind,
  nodesKind,
  servicesKind,
} from "../../mesh/kvstore/records/session-kinds.ts";
import type { SessionKind } from "../../mesh/kvstore/session-kind.ts";
import type { Claims } from "./claims.ts";
import {
  createKindMirror,
  mirroredKind,
  type KindMirror,
  type MirroredRecord,
} from "./kind-mirror.ts";
import { claimsOfEndpoint, claimsOfNode, claimsOfService } from "./record-claims.ts";

/** What older peers have not is optional: nobody waits until it is read. */
export type MirroredKindName = ExportedKind | "drains";

export type ParseRecord<T> = (name: string, value: Buffer, cluster: ClusterIdentity) => T;

export interface MirroredKind {
  readonly kind: MirroredKindName;
  readonly mirror: KindMirror;
  /** What the session reads. */
  readonly session: SessionKind<MirroredRecord>;
  readonly cachePrefix: string;
  readonly cacheCanaryKey: string;
}

export function createMirroredKinds(peer: string, claims: Claims): MirroredKind[] {
  return [...EXPORTED_KINDS, "drains" as const].map((kind) => {
    const read = readingOf(kind, peer);
    const cachePrefix = kind === "drains" ? cachedDrainsPrefix(peer) : cacheWatchPrefix(kind, peer);
    const cacheCanaryKey =
      kind === "drains"
        ? drainsSyncedKey({ cluster: peer, cached: true })
        : syncedKey({ cluster: peer, kind, cached: true });
    const mirror = createKindMirror({ peer, cachePrefix, claims, parse: read.parse });
    return {
      kind,
      mirror,
      session: { ...read, table: mirror.table },
      cachePrefix,
      cacheCanaryKey,
    };
  });
}

function readingOf(
  kind: MirroredKindName,
  peer: string,
): Omit<SessionKind<MirroredRecord>, "table"> {
  // The factories ask for a table of parsed records; ours holds bytes, so theirs stays unused.
  const options = { cluster: peer, layout: "state" } as const;
  switch (kind) {
    case "nodes":
      return mirroredKind(
        nodesKind({ ...options, table: createTable({ name: "unused" }) }),
        claimsOfNode,
      );
    case "identities":
      return mirroredKind(
        identitiesKind({ ...options, table: createTable({ name: "unused" }) }),
        () => [],
      );
    case "ip":
      return mirroredKind(
        endpointsKind({ ...options, table: createTable({ name: "unused" }) }),
        claimsOfEndpoint,
      );
    case "services":
      return mirroredKind(
        servicesKind({ ...options, table: createTable({ name: "unused" }) }),
        claimsOfService,
      );
    case "drains":
      return mirroredKind(
        drainsKind({ ...options, table: createTable({ name: "unused" }) }),
        () => [],
      );
  }
}
