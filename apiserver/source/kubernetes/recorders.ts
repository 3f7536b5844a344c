// One recorder of events for each kind whose owners are told what is wrong.
import type { Clock } from "../../../mesh/core/clock.ts";
import type { Logger } from "../../../mesh/core/logger.ts";
import type { KubernetesTransport } from "../../../mesh/kubernetes/transport.ts";
import { SOURCE_KINDS, type SourceKind } from "../objects.ts";
import { createEventRecorder, type EventRecorder } from "./event-recorder.ts";
import { KINDS } from "./kinds.ts";

export function createRecorders(seams: {
  readonly transport: KubernetesTransport;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}): ReadonlyMap<SourceKind, EventRecorder> {
  const told = SOURCE_KINDS.filter((kind) => KINDS[kind].told);
  return new Map(
    told.map((kind) => {
      const { apiVersion } = KINDS[kind];
      return [kind, createEventRecorder({ ...seams, kind, apiVersion })];
    }),
  );
}
