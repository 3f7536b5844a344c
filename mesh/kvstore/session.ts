// Reading one cluster's exported state, from its own etcd (`state`) or from a mirrored copy
// (`cache`), into tables: config, canary gate, heartbeat, watches, validation, limits. What the
// reader may conclude from silence and absence is decided here (DESIGN.md, "When a deletion is
// believed") and nowhere else.
import type { ClusterIdentity } from "../core/cluster.ts";
import type { WritableTable } from "../core/table.ts";

/** One kind of record that a session reads. */
export interface SessionKind<T> {
  /** Ends with "/". The rest of a key is the record's name. */
  readonly prefix: string;
  /** The canary that must be there before absence means anything. */
  readonly canaryKey: string;
  /** Filled by the session, keyed by record name; marked synced after the first full list. */
  readonly table: WritableTable<T>;
  /** Throws `invalid_argument` for a record that must not be believed. */
  readonly parse: (name: string, value: Buffer, cluster: ClusterIdentity) => T;
  /** More records than this are dropped and counted. */
  readonly maxRecords: number;
  /** A longer value is dropped and counted. */
  readonly maxValueBytes: number;
}

export type SessionState =
  | { readonly kind: "connecting"; readonly attempt: number; readonly lastError: Error | undefined }
  | { readonly kind: "syncing"; readonly waitingFor: string }
  | { readonly kind: "ready" }
  /** Connected before, not now, or the writer is silent: the tables are frozen, not emptied. */
  | { readonly kind: "stale"; readonly reason: string };

export interface SessionStatus {
  readonly cluster: string;
  readonly state: SessionState;
  readonly config: ClusterIdentity | undefined;
  /** By local receive time, monotonic milliseconds; undefined before the first beat. */
  readonly lastHeartbeatMs: number | undefined;
  readonly reconnections: number;
  /** Records per prefix that were refused since the start, with the latest reasons. */
  readonly rejected: ReadonlyMap<
    string,
    { readonly count: number; readonly latest: readonly string[] }
  >;
  readonly records: ReadonlyMap<string, number>;
}
