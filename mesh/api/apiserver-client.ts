// Asks an apiserver for its status over its unix socket, and says so when none answers. Missing
// numbers and texts do not occur: the schema's defaults are filled in on decoding.
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import { createGrpcClient, loadServiceDefinition, localChannelCredentials } from "./grpc.ts";
import { APISERVER_SCHEMA, APISERVER_SERVICE, type CheckDrainRequest } from "./apiserver-server.ts";

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
  readonly drains: readonly DrainMessage[];
  readonly operations: OperationsMessage | null;
}

/** The operations plane, as GetStatus tells it. */
export interface OperationsMessage {
  readonly server: string;
  readonly pid: number;
  readonly restarts: number;
  readonly connected: boolean;
  readonly streams: readonly {
    readonly name: string;
    readonly messages: number;
    readonly bytes: number;
  }[];
  readonly links: readonly { readonly peer: string; readonly up: boolean }[];
  readonly waiting: number;
  readonly dropped: number;
  readonly problem: string;
}

/** A drain in force, as GetStatus tells it. */
export interface DrainMessage {
  readonly cluster: string;
  readonly percent: number;
  readonly services: readonly string[];
  readonly secondsLeft: number;
  readonly graceSeconds: number;
  readonly reason: string;
  readonly toldBy: string;
}

/** The answer of CheckDrain. */
export interface DrainCheckMessage {
  readonly affected: number;
  readonly short: readonly {
    readonly service: string;
    readonly port: string;
    readonly needed: number;
    readonly bestCluster: string;
    readonly bestBackends: number;
  }[];
  readonly problems: readonly string[];
}

/** The answer of CheckDrills. */
export interface DrillCheckMessage {
  readonly problem: string;
  readonly failovers: readonly {
    readonly service: string;
    readonly client: string;
    readonly from: string;
    readonly to: readonly string[];
    readonly lastDrilledMs: number;
  }[];
}

export interface ApiserverStatusReader {
  /** Rejects with `unavailable` when no apiserver answers. */
  readStatus(signal: AbortSignal): Promise<ApiserverStatusMessage>;
  readPeers(signal: AbortSignal): Promise<ApiserverStatusMessage["peers"]>;
  checkDrain(request: CheckDrainRequest, signal: AbortSignal): Promise<DrainCheckMessage>;
  checkDrills(signal: AbortSignal): Promise<DrillCheckMessage>;
}

/** A local socket answers in milliseconds; a busy apiserver may be in the middle of a big sync. */
const STATUS_TIMEOUT_MS = 5_000;

/** A call a connection: apiservers come and go between two looks. */
export function createApiserverStatusReader(options: {
  readonly socketPath: string;
  readonly clock: Clock;
  readonly timeoutMs?: number;
}): ApiserverStatusReader {
  const { socketPath, clock, timeoutMs = STATUS_TIMEOUT_MS } = options;
  const ask = async <T>(method: string, request: object, signal: AbortSignal): Promise<T> => {
    const client = createGrpcClient({
      definition: loadServiceDefinition(APISERVER_SCHEMA, APISERVER_SERVICE),
      target: `unix:${socketPath}`,
      credentials: localChannelCredentials(),
      clock,
    });
    try {
      return await client.call<T>(method, request, { timeoutMs, signal });
    } catch (cause) {
      if (!isMeshError(cause, "unavailable") && !isMeshError(cause, "deadline_exceeded")) {
        throw cause;
      }
      throw new MeshError(
        "unavailable",
        `Cannot ask the apiserver at "${socketPath}": it does not answer`,
        { cause, hint: "check that the cluster's apiserver runs" },
      );
    } finally {
      client.close();
    }
  };
  const readStatus = (signal: AbortSignal): Promise<ApiserverStatusMessage> =>
    ask("GetStatus", {}, signal);
  return {
    readStatus,
    readPeers: async (signal) => (await readStatus(signal)).peers,
    checkDrain: (request, signal) => ask("CheckDrain", request, signal),
    checkDrills: (signal) => ask("CheckDrills", {}, signal),
  };
}
