// Where a program's events go: each is completed with who tells it and when, logged, and published.
// A sink without a connection only logs, which is what a program without an operations plane has.
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { OperationsConnection } from "./connection.ts";
import { EVENT_MAX_BYTES, type EventSink, type MeshEvent } from "./event.ts";
import { eventSubject } from "./subjects.ts";

export interface EventSinkOptions {
  readonly cluster: string;
  /** The node that tells; `APISERVER_NODE` for an apiserver. */
  readonly node: string;
  readonly connection: Pick<OperationsConnection, "publish"> | undefined;
  readonly clock: Pick<Clock, "nowMs">;
  /** Unique in the mesh for a week: a UUID. */
  readonly newId: () => string;
  readonly log: Logger;
}

export function createEventSink(options: EventSinkOptions): EventSink {
  const { cluster, node, connection, clock, newId, log } = options;
  return {
    emit(said) {
      const event: MeshEvent = { id: newId(), timeMs: clock.nowMs(), cluster, node, ...said };
      logEvent(event, log);
      const data = JSON.stringify(event);
      if (Buffer.byteLength(data) > EVENT_MAX_BYTES) {
        log.error("Event is too long to be told", { kind: event.kind, bytes: data.length });
        return;
      }
      connection?.publish({ subject: eventSubject(cluster, event.kind), data, id: event.id });
    },
  };
}

function logEvent(event: MeshEvent, log: Logger): void {
  const { kind, subject, from, to, text, evidence } = event;
  const fields = { kind, subject, from, to, text, evidence };
  if (event.severity === "info") log.info("Event", fields);
  else log.warn("Event", { ...fields, severity: event.severity });
}
