// The agent's connection to its cluster's operations plane: where it is, and what goes through it.
// Everything that forwards packets works without it, also if it never comes.
import { randomUUID } from "node:crypto";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import { createEventSink } from "../../mesh/operations/event-sink.ts";
import type { EventSink } from "../../mesh/operations/event.ts";
import { createNatsConnection } from "../../mesh/operations/nats-connection.ts";
import type { EtcdFiles, OperationsPlace } from "../config.ts";

export interface AgentOperationsOptions {
  readonly cluster: string;
  readonly nodeName: string;
  /** Undefined: the cluster has no operations plane; events are logged. */
  readonly place: OperationsPlace | undefined;
  /** The cluster's etcd, as the agent has found it: `https://ADDRESS:PORT`. */
  readonly etcdEndpoints: () => readonly string[];
  readonly tls: EtcdFiles;
  /** Under which name the cluster's servers are verified. */
  readonly serverName: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface AgentOperations {
  /** For whoever has something to tell. */
  readonly events: EventSink;
  /** For whoever answers questions; undefined without an operations plane. */
  readonly connection: OperationsConnection | undefined;
  readonly tasks: readonly Task[];
}

export function createAgentOperations(options: AgentOperationsOptions): AgentOperations {
  const { cluster, nodeName, place, etcdEndpoints, tls } = options;
  const connection =
    place === undefined
      ? undefined
      : createNatsConnection({
          ...options,
          name: nodeName,
          servers: () => serversOf(place, etcdEndpoints()),
          tls: { caFile: tls.caFile, certFile: tls.certFile, keyFile: tls.keyFile },
        });
  const events = createEventSink({
    ...options,
    cluster,
    node: nodeName,
    connection,
    newId: randomUUID,
  });
  const tasks =
    connection === undefined
      ? []
      : [{ name: "operations", run: (signal: AbortSignal) => connection.run(signal) }];
  return { events, connection, tasks };
}

/** Where nats-server is: where it was configured, or beside etcd. */
export function serversOf(
  place: OperationsPlace,
  etcdEndpoints: readonly string[],
): readonly string[] {
  if (place.kind === "fixed") return place.servers;
  return etcdEndpoints.map((endpoint) => `${new URL(endpoint).hostname}:${place.port}`);
}
