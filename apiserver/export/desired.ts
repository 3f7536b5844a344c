// What our own etcd should hold of our own cluster: one table a kind, rows by etcd key. The
// planner writes them, the exporter's reconcilers carry them to etcd.
import { createTable, type WritableTable } from "../../mesh/core/table.ts";
import {
  EXPORTED_KINDS,
  localIdentitiesPrefix,
  localIdentitiesSyncedKey,
  localServicesPrefix,
  localServicesSyncedKey,
  podsPrefix,
  podsSyncedKey,
  policiesPrefix,
  policiesSyncedKey,
  stateWatchPrefix,
  syncedKey,
  type ExportedKind,
} from "../../mesh/kvstore/keys.ts";

/** For our own agents only. */
const LOCAL_KINDS = ["local-identities", "local-services", "policies", "pods"] as const;
export type DesiredKind = ExportedKind | (typeof LOCAL_KINDS)[number];

export interface Desired {
  readonly kind: DesiredKind;
  /** Ends with "/"; a row's key is this and the record's name. */
  readonly prefix: string;
  /** Written once the kind's first full write is done. */
  readonly canaryKey: string;
  readonly table: WritableTable<Buffer>;
}

export type DesiredTables = Readonly<Record<DesiredKind, Desired>>;

export function createDesiredTables(cluster: string): DesiredTables {
  const exported = (kind: ExportedKind): Desired => ({
    kind,
    prefix: stateWatchPrefix(kind, cluster),
    canaryKey: syncedKey({ cluster, kind, cached: false }),
    table: bufferTable(`export/${kind}`),
  });
  const local = (
    kind: (typeof LOCAL_KINDS)[number],
    place: Pick<Desired, "prefix" | "canaryKey">,
  ): Desired => ({ kind, ...place, table: bufferTable(`export/${kind}`) });
  return {
    nodes: exported("nodes"),
    identities: exported("identities"),
    ip: exported("ip"),
    services: exported("services"),
    "local-identities": local("local-identities", {
      prefix: localIdentitiesPrefix(cluster),
      canaryKey: localIdentitiesSyncedKey(cluster),
    }),
    "local-services": local("local-services", {
      prefix: localServicesPrefix(cluster),
      canaryKey: localServicesSyncedKey(cluster),
    }),
    policies: local("policies", {
      prefix: policiesPrefix(cluster),
      canaryKey: policiesSyncedKey(cluster),
    }),
    pods: local("pods", { prefix: podsPrefix(cluster), canaryKey: podsSyncedKey(cluster) }),
  };
}

/** Identities come first: nothing should refer to a number that a reader cannot look up yet. */
export const DESIRED_KINDS: readonly DesiredKind[] = [
  "identities",
  ...EXPORTED_KINDS.filter((kind) => kind !== "identities"),
  ...LOCAL_KINDS,
];

/** A row with the same bytes is no change. */
export function bufferTable(name: string): WritableTable<Buffer> {
  return createTable<Buffer>({ name, equals: (a, b) => a.equals(b) });
}
