// The kinds that are mirrored: how each is read at the peer and where it stands in our cache.
import { createTable } from "../../mesh/core/table.ts";
import {
  cacheWatchPrefix,
  EXPORTED_KINDS,
  syncedKey,
  type ExportedKind,
} from "../../mesh/kvstore/keys.ts";
import {
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

export interface MirroredKind {
  readonly kind: ExportedKind;
  readonly mirror: KindMirror;
  /** What the session reads. */
  readonly session: SessionKind<MirroredRecord>;
  readonly cachePrefix: string;
  readonly cacheCanaryKey: string;
}

export function createMirroredKinds(peer: string, claims: Claims): MirroredKind[] {
  return EXPORTED_KINDS.map((kind) => {
    const read = readingOf(kind, peer);
    const cachePrefix = cacheWatchPrefix(kind, peer);
    const mirror = createKindMirror({ peer, cachePrefix, claims, parse: read.parse });
    return {
      kind,
      mirror,
      session: { ...read, table: mirror.table },
      cachePrefix,
      cacheCanaryKey: syncedKey({ cluster: peer, kind, cached: true }),
    };
  });
}

function readingOf(kind: ExportedKind, peer: string): Omit<SessionKind<MirroredRecord>, "table"> {
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
  }
}
