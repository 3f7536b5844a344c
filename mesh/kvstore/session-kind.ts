// What a session is told about one kind of record: where it stands, how it is parsed, where it
// goes. How it is read is kind-reader.ts; the kinds themselves are records/session-kinds.ts.
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
  /**
   * Older members do not have this kind. It is read once its canary is there, and never without
   * one; nobody waits for it, so its table may stay unsynced for ever.
   */
  readonly optional?: boolean;
}
