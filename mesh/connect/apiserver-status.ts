// An apiserver's status as far as connecting and `mesh status` use it, and what it means when no
// apiserver answers. The call itself is mesh/api/apiserver-client.ts.
import { readApiserverStatus } from "../api/apiserver-client.ts";
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { PeerStatus, PeerStatusReader } from "./cluster-facts.ts";

/** The answer of GetStatus (mesh/api/apiserver.proto), reduced to what is shown here. */
export interface ApiserverStatus {
  readonly version: string;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly uptimeSeconds: number;
  readonly etcd: { readonly mode: string; readonly state: string } | null;
  readonly peers: readonly PeerStatus[];
}

export interface ApiserverStatusReader extends PeerStatusReader {
  /** Rejects with `unavailable` when no apiserver answers. */
  readStatus(signal: AbortSignal): Promise<ApiserverStatus>;
}

/** A local socket answers in milliseconds; a busy apiserver may be in the middle of a big sync. */
const STATUS_TIMEOUT_MS = 5_000;

export function createApiserverStatusReader(options: {
  readonly socketPath: string;
  readonly clock: Clock;
}): ApiserverStatusReader {
  const readStatus = async (signal: AbortSignal): Promise<ApiserverStatus> => {
    try {
      return await readApiserverStatus(options, { timeoutMs: STATUS_TIMEOUT_MS, signal });
    } catch (cause) {
      if (!isMeshError(cause, "unavailable") && !isMeshError(cause, "deadline_exceeded")) {
        throw cause;
      }
      throw new MeshError(
        "unavailable",
        `Cannot ask the apiserver at "${options.socketPath}": it does not answer`,
        { cause, hint: "check that the cluster's apiserver runs" },
      );
    }
  };
  return { readStatus, readPeers: async (signal) => (await readStatus(signal)).peers };
}
