// What a peer's parts say, put together into one answer. Pure.
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { SessionStatus } from "../../mesh/kvstore/session.ts";
import type { WriterStatus } from "../kind-writer.ts";
import type { KindMirrorStatus } from "./kind-mirror.ts";
import type { PeerEntry } from "./peer-directory.ts";

export interface PeerKindStatus {
  readonly kind: string;
  readonly records: number;
  readonly mirrored: number;
  /** Read whole and written whole since the start of the apiserver. */
  readonly synced: boolean;
  readonly rejected: number;
  readonly rejectedLatest: readonly string[];
  readonly claimsRefused: number;
  readonly claimsRefusedLatest: readonly string[];
  readonly writeFailures: number;
}

export interface PeerStatus {
  readonly name: string;
  /** 0 before the peer's config was read. */
  readonly id: number;
  readonly state: "connecting" | "syncing" | "ready" | "stale" | "refused" | "removing";
  readonly reason: string;
  readonly endpoints: readonly string[];
  /** Negative before the first heartbeat. */
  readonly heartbeatAgeSeconds: number;
  readonly reconnections: number;
  readonly kinds: readonly PeerKindStatus[];
  readonly synced: boolean;
  /** Empty for a peer that does not run Tombolo. */
  readonly version: string;
  /** Where its operations plane is met; empty while that is not known. */
  readonly leafEndpoints: readonly string[];
}

export interface PeerParts {
  readonly entry: PeerEntry;
  readonly session: SessionStatus | undefined;
  readonly identity: ClusterIdentity | undefined;
  /** Why there is no session, or no accepted one. */
  readonly problem: Error | undefined;
  readonly version: string;
  readonly leafEndpoints: readonly string[];
  readonly nowMs: number;
  readonly kinds: readonly {
    readonly kind: string;
    readonly prefix: string;
    /** Not waited for. */
    readonly optional?: boolean;
    readonly mirror: KindMirrorStatus;
    readonly writer: WriterStatus | undefined;
    readonly read: boolean;
  }[];
}

export function statusFromPeer(parts: PeerParts): PeerStatus {
  const { entry, session, identity } = parts;
  const kinds = parts.kinds.map((kind) => kindStatus(kind, session));
  const beatMs = session?.lastHeartbeatMs;
  return {
    name: entry.name,
    id: identity?.id ?? 0,
    ...stateOf(parts),
    endpoints: entry.file?.endpoints ?? [],
    heartbeatAgeSeconds: beatMs === undefined ? -1 : (parts.nowMs - beatMs) / 1_000,
    reconnections: session?.reconnections ?? 0,
    kinds,
    synced: kinds.every((kind, index) => kind.synced || parts.kinds[index]?.optional === true),
    version: parts.version,
    leafEndpoints: parts.leafEndpoints,
  };
}

function stateOf(parts: PeerParts): Pick<PeerStatus, "state" | "reason"> {
  const { entry, session, problem } = parts;
  if (problem !== undefined) {
    const refused = isMeshError(problem, "conflict") || isMeshError(problem, "invalid_argument");
    return { state: refused ? "refused" : "connecting", reason: messageFromError(problem) };
  }
  // The connection goes on with the last good file, but its owner should know about the new one.
  const reason = entry.problem;
  const state = session?.state;
  switch (state?.kind) {
    case undefined:
      return { state: "connecting", reason };
    case "connecting":
      return { state: "connecting", reason: reason || messageFrom(state.lastError) };
    case "syncing":
      return { state: "syncing", reason: reason || `waits for ${state.waitingFor}` };
    case "stale":
      return { state: "stale", reason: reason || state.reason };
    case "ready":
      return { state: "ready", reason };
  }
}

function kindStatus(
  { kind, prefix, mirror, writer, read }: PeerParts["kinds"][number],
  session: SessionStatus | undefined,
): PeerKindStatus {
  const rejected = session?.rejected.get(prefix);
  return {
    kind,
    records: mirror.records,
    mirrored: mirror.mirrored,
    synced: read && writer?.synced === true,
    rejected: rejected?.count ?? 0,
    rejectedLatest: rejected?.latest ?? [],
    claimsRefused: mirror.claimsRefused,
    claimsRefusedLatest: mirror.latestRefusals,
    writeFailures: writer?.failed.size ?? 0,
  };
}

function messageFrom(error: Error | undefined): string {
  return error === undefined ? "" : messageFromError(error);
}
