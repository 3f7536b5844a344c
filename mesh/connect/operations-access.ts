// Where the operations plane of a cluster directory is: the apiserver writes it down beside its
// socket when it starts, the certificates are the cluster's own.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { adminCommonName, meshServerName } from "../../pki/common-names.ts";
import { pkiPaths } from "../../pki/files.ts";
import { clusterPaths } from "../contexts/cluster-directory.ts";
import type { Clock } from "../core/clock.ts";
import { parseClusterName } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { OperationsConnection } from "../operations/connection.ts";
import { bridgeNats } from "../operations/nats-bridge.ts";
import { createNatsConnection } from "../operations/nats-connection.ts";

/** What the apiserver tells about its NATS. */
export interface OperationsPlace {
  readonly cluster: string;
  /** `ADDRESS:PORT`. */
  readonly servers: readonly string[];
}

export function operationsPlacePath(directory: string): string {
  return join(clusterPaths(directory).run, "operations.json");
}

export function encodeOperationsPlace(place: OperationsPlace): string {
  return `${JSON.stringify(place)}\n`;
}

/** A connection as the cluster's admin; `run` of it is the caller's. Throws `not_found`. */
export async function openDirectoryOperations(
  directory: string,
  environment: { readonly clock: Clock; readonly random: () => number; readonly log: Logger },
): Promise<{ readonly cluster: string; readonly connection: OperationsConnection }> {
  const { cluster, servers } = await readOperationsPlace(directory);
  const connection = createNatsConnection({
    ...environment,
    name: adminCommonName(cluster),
    servers: () => servers,
    tls: adminTls(directory),
    serverName: meshServerName(cluster),
  });
  return { cluster, connection };
}

/** For who cannot reach the server himself: see nats-bridge.ts. Throws `not_found`, `unavailable`. */
export async function bridgeDirectoryOperations(
  directory: string,
  ends: Parameters<typeof bridgeNats>[1],
  signal: AbortSignal,
): Promise<void> {
  const { cluster, servers } = await readOperationsPlace(directory);
  const [server] = servers;
  if (server === undefined) {
    throw new MeshError("unavailable", `Cannot reach the NATS of "${cluster}": it has no address`);
  }
  const place = { server, tls: adminTls(directory), serverName: meshServerName(cluster) };
  await bridgeNats(place, ends, signal);
}

function adminTls(directory: string) {
  const pki = pkiPaths(clusterPaths(directory).pki);
  return { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey };
}

async function readOperationsPlace(directory: string): Promise<OperationsPlace> {
  const path = operationsPlacePath(directory);
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new MeshError("not_found", `Cannot find the operations plane of "${directory}"`, {
      cause,
      hint: 'the apiserver writes where it is once it has started with "operations" configured',
    });
  });
  return parseOperationsPlace(text, path);
}

/** `path` only appears in messages. */
export function parseOperationsPlace(text: string, path: string): OperationsPlace {
  const refuse = (cause?: unknown): MeshError =>
    new MeshError("data_loss", `Cannot use "${path}": want {"cluster": NAME, "servers": [...]}`, {
      cause,
    });
  let fields: Record<string, unknown>;
  try {
    fields = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch (cause) {
    throw refuse(cause);
  }
  const { cluster, servers } = fields;
  if (!Array.isArray(servers) || !servers.every((item) => typeof item === "string")) throw refuse();
  return { cluster: parseClusterName(cluster), servers };
}
