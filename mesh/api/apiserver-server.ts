// Serves the apiserver's status on a unix socket. The answer is the caller's to make; its shape
// is apiserver.proto's.
import { chmod, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import {
  createGrpcServer,
  loadServiceDefinition,
  localServerCredentials,
  type GrpcServer,
} from "./grpc.ts";

export const APISERVER_SERVICE = "tombolo.apiserver.v1.Apiserver";
export const APISERVER_SCHEMA = fileURLToPath(new URL("./apiserver.proto", import.meta.url));

/** See apiserver.proto. */
export interface CheckDrainRequest {
  readonly cluster: string;
  readonly services: readonly string[];
}

/** Replaces a socket that a dead apiserver has left behind. */
export async function createApiserverStatusServer(options: {
  socketPath: string;
  getStatus: () => object;
  checkDrain: (request: CheckDrainRequest) => object;
  checkDrills: (signal: AbortSignal) => Promise<object>;
}): Promise<GrpcServer> {
  const { socketPath, getStatus, checkDrain, checkDrills } = options;
  await rm(socketPath, { force: true });
  const server = await createGrpcServer({
    definition: loadServiceDefinition(APISERVER_SCHEMA, APISERVER_SERVICE),
    handlers: {
      getStatus: () => Promise.resolve(getStatus()),
      checkDrain: async (request) => checkDrain(request as CheckDrainRequest),
      checkDrills: (_request, { signal }) => checkDrills(signal),
    },
    listen: `unix:${socketPath}`,
    credentials: localServerCredentials(),
  });
  // Status names peers and addresses: it is for the machine's operators.
  await chmod(socketPath, 0o600);
  return server;
}
