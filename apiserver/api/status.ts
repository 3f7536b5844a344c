// The apiserver's state as its status API tells it, and what of it makes the apiserver ready.
// Pure: gathers from the parts' own answers and changes nothing.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { ExporterStatus } from "../export/exporter.ts";
import type { IdentityAllocator } from "../identity/allocator.ts";
import type { PeerStatus } from "../mirror/peer-status.ts";
import type { OperationsPlaneStatus } from "../nats/plane.ts";
import type { ToldDrain } from "../operations/told-drains.ts";
import { SOURCE_KINDS, type Source, type SourceStatus } from "../source/objects.ts";

/** The parts that are asked; each answers from memory. */
export interface StatusParts {
  readonly version: string;
  readonly cluster: ClusterIdentity;
  readonly etcd: () => EtcdStatus;
  /** Where the cluster's state comes from: the manifests' directory or the API server's address. */
  readonly origin: { readonly name: string; place(): string; status(): SourceStatus };
  /** What is wrong with the objects that the cluster directory follows, under Kubernetes. */
  readonly objectProblems: () => SourceStatus["problems"];
  readonly source: Source;
  readonly identities: IdentityAllocator;
  readonly exporter: { status(): ExporterStatus };
  readonly mirrors: { status(): readonly PeerStatus[] };
  readonly drains: () => readonly ToldDrain[];
  /** Why the drains' file is not in force as it stands, or empty. */
  readonly drainsProblem: () => string;
  /** Undefined without an operations plane. */
  readonly operations: () => OperationsPlaneStatus | undefined;
  readonly uptimeSeconds: () => number;
}

export interface EtcdStatus {
  readonly mode: "embedded" | "external";
  readonly state: string;
  readonly endpoints: readonly string[];
  readonly pid: number;
  readonly restarts: number;
  readonly lastError: string;
  /** Whether our own writer is connected: auth is set up and the heartbeat is written. */
  readonly writable: boolean;
  /** Why users and roles are not as they should be, or empty. */
  readonly usersProblem: string;
}

export interface ApiserverStatus {
  readonly version: string;
  readonly cluster: ClusterIdentity;
  readonly etcd: Omit<EtcdStatus, "writable" | "usersProblem">;
  readonly source: {
    readonly directory: string;
    readonly synced: boolean;
    readonly files: number;
    readonly objects: Readonly<Record<string, number>>;
    readonly problems: SourceStatus["problems"];
  };
  readonly identities: { inUse: number; retired: number; capacity: number };
  readonly exports: readonly ExportStatus[];
  readonly peers: readonly PeerStatus[];
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly uptimeSeconds: number;
  readonly drains: readonly ToldDrain[];
  readonly operations: OperationsPlaneStatus | undefined;
}

export interface ExportStatus {
  readonly kind: string;
  readonly desired: number;
  readonly applied: number;
  readonly synced: boolean;
  readonly failed: readonly { readonly key: string; readonly reason: string }[];
  readonly failedTotal: number;
}

/** So many failed rows show what is wrong; the total stands beside them. */
const SHOWN_FAILURES = 10;
const SHOWN_PROBLEMS = 100;

export function gatherStatus(parts: StatusParts): ApiserverStatus {
  const { writable, usersProblem, ...etcd } = parts.etcd();
  const { files, problems } = parts.origin.status();
  const objectProblems = parts.objectProblems();
  const exporter = parts.exporter.status();
  const exports = [...exporter.kinds].map(([kind, writer]) => ({
    kind,
    desired: writer.desired,
    applied: writer.applied,
    synced: writer.synced,
    failed: [...writer.failed]
      .slice(0, SHOWN_FAILURES)
      .map(([key, error]) => ({ key, reason: error.message })),
    failedTotal: writer.failed.size,
  }));
  const synced = SOURCE_KINDS.every((kind) => parts.source[kind].synced);
  const unread = synced ? "" : parts.origin.name;
  const drainsProblem = parts.drainsProblem();
  const reasons = unreadyReasons({ etcd, writable, unread, exports });
  return {
    version: parts.version,
    cluster: parts.cluster,
    etcd,
    source: {
      directory: parts.origin.place(),
      synced,
      files,
      objects: Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, parts.source[kind].size])),
      // Those of the few objects of our own first: the others may be thousands.
      problems: [...objectProblems, ...problems].slice(0, SHOWN_PROBLEMS),
    },
    identities: parts.identities.counts(),
    exports,
    peers: parts.mirrors.status(),
    ready: reasons.length === 0,
    reasons: [
      ...reasons,
      ...(usersProblem === "" ? [] : [`etcd users are not as they should be: ${usersProblem}`]),
      ...(drainsProblem === "" ? [] : [`drains stay as they were: ${drainsProblem}`]),
      ...objectReasons(objectProblems),
      ...unplannableReasons(exporter.unplannable),
    ],
    uptimeSeconds: parts.uptimeSeconds(),
    drains: parts.drains(),
    operations: parts.operations(),
  };
}

/**
 * Ready means that our own state is whole in our etcd. Peers do not count: their being away must
 * not take us away from those that are there.
 */
function unreadyReasons(state: {
  etcd: Omit<EtcdStatus, "writable" | "usersProblem">;
  writable: boolean;
  /** What has not been read, or empty. */
  unread: string;
  exports: readonly ExportStatus[];
}): string[] {
  const { etcd, writable, unread, exports } = state;
  const reasons: string[] = [];
  const running = ["running", "adopted", "external"].includes(etcd.state);
  if (!running) reasons.push(`etcd is ${etcd.state}${etcd.lastError && `: ${etcd.lastError}`}`);
  else if (!writable) reasons.push("etcd does not answer yet");
  if (unread !== "") reasons.push(`${unread} have not been read`);
  const waiting = exports.filter((item) => !item.synced).map(({ kind }) => kind);
  if (waiting.length > 0) reasons.push(`not yet written whole: ${waiting.join(", ")}`);
  return reasons;
}

function objectReasons(problems: SourceStatus["problems"]): string[] {
  return problems
    .slice(0, SHOWN_FAILURES)
    .map(({ object, message }) => (object === "" ? message : `${object}: ${message}`));
}

function unplannableReasons(unplannable: ReadonlyMap<string, string>): string[] {
  return [...unplannable]
    .slice(0, SHOWN_FAILURES)
    .map(([object, reason]) => `${object} is not exported: ${reason}`);
}
