// Reading an apiserver's status over its unix socket, as far as connecting and `mesh status` use
// it. Missing numbers and texts do not occur: the schema's defaults are filled in on decoding.
import { fileURLToPath } from "node:url";
import {
  createGrpcClient,
  loadServiceDefinition,
  localChannelCredentials,
  type GrpcClient,
} from "../api/grpc.ts";
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
  const readStatus = (signal: AbortSignal): Promise<ApiserverStatus> =>
    withClient(options, async (client) => {
      try {
        const callOptions = { timeoutMs: STATUS_TIMEOUT_MS, signal };
        return await client.call<ApiserverStatus>("GetStatus", {}, callOptions);
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
    });
  return { readStatus, readPeers: async (signal) => (await readStatus(signal)).peers };
}

async function withClient<T>(
  options: { readonly socketPath: string; readonly clock: Clock },
  work: (client: GrpcClient) => Promise<T>,
): Promise<T> {
  const schema = fileURLToPath(new URL("../api/apiserver.proto", import.meta.url));
  const client = createGrpcClient({
    definition: loadServiceDefinition(schema, "tombolo.apiserver.v1.Apiserver"),
    target: `unix:${options.socketPath}`,
    credentials: localChannelCredentials(),
    clock: options.clock,
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
