// Asks an apiserver for its status over its unix socket. Missing numbers and texts do not occur:
// the schema's defaults are filled in on decoding.
import type { Clock } from "../core/clock.ts";
import {
  createGrpcClient,
  loadServiceDefinition,
  localChannelCredentials,
  type CallOptions,
} from "./grpc.ts";
import { APISERVER_SCHEMA, APISERVER_SERVICE } from "./apiserver-server.ts";

/** The answer of GetStatus (apiserver.proto). */
export interface ApiserverStatusMessage {
  readonly version: string;
  readonly cluster: { readonly name: string; readonly id: number } | null;
  readonly etcd: {
    readonly mode: string;
    readonly state: string;
    readonly pid: number;
    readonly restarts: number;
    readonly lastError: string;
  } | null;
  readonly source: {
    readonly synced: boolean;
    readonly files: number;
    readonly objects: Readonly<Record<string, number>>;
    readonly problems: readonly {
      readonly severity: string;
      readonly file: string;
      readonly line: number;
      readonly message: string;
      readonly object: string;
    }[];
  } | null;
  readonly exports: readonly {
    readonly kind: string;
    readonly desired: number;
    readonly applied: number;
    readonly synced: boolean;
    readonly failedTotal: number;
  }[];
  readonly peers: readonly {
    readonly name: string;
    readonly id: number;
    readonly state: string;
    readonly reason: string;
    readonly synced: boolean;
    readonly heartbeatAgeSeconds: number;
    readonly reconnections: number;
    readonly version: string;
    readonly kinds: readonly {
      readonly kind: string;
      readonly records: number;
      readonly mirrored: number;
      readonly synced: boolean;
      readonly rejected: number;
      readonly rejectedLatest: readonly string[];
      readonly claimsRefused: number;
      readonly claimsRefusedLatest: readonly string[];
    }[];
  }[];
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly uptimeSeconds: number;
}

/** Rejects with `unavailable` when no apiserver answers. */
export async function readApiserverStatus(
  options: { socketPath: string; clock: Clock },
  call: CallOptions,
): Promise<ApiserverStatusMessage> {
  const client = createGrpcClient({
    definition: loadServiceDefinition(APISERVER_SCHEMA, APISERVER_SERVICE),
    target: `unix:${options.socketPath}`,
    credentials: localChannelCredentials(),
    clock: options.clock,
  });
  try {
    return await client.call<ApiserverStatusMessage>("GetStatus", {}, call);
  } finally {
    client.close();
  }
}
