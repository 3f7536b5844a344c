// What happens in a mesh, as people are told: one record an event, the same in NATS, in logs and in
// `mesh events`. Pure: types, and parsing of what others sent.

/** Levels as people sort them: `info` is ordinary, `warning` wants a look, `error` costs something. */
export const EVENT_SEVERITIES = ["info", "warning", "error"] as const;
export type EventSeverity = (typeof EVENT_SEVERITIES)[number];

/** What it is about; the last part of the subject `tombolo.events.CLUSTER.KIND`. */
export const EVENT_KINDS = [
  "cluster-health",
  "node-health",
  "backend-health",
  "isolation",
  "drain",
  "drill",
  "session",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** As JSON. A sentence and a dozen figures are below 2 KB. */
export const EVENT_MAX_BYTES = 16 * 1024;

export interface MeshEvent {
  /** Unique; by it JetStream drops what was sent twice. */
  readonly id: string;
  /** Wall clock of the one that tells, milliseconds since 1970. */
  readonly timeMs: number;
  /** Who tells: its cluster, and its node or "_apiserver". */
  readonly cluster: string;
  readonly node: string;
  readonly kind: EventKind;
  readonly severity: EventSeverity;
  /** Whom it is about: a cluster's name, "CLUSTER/NODE", "NAMESPACE/NAME", a drill's id. */
  readonly subject: string;
  /** From which state into which, where there are states: "healthy" and "suspect". */
  readonly from: string;
  readonly to: string;
  /** One sentence. */
  readonly text: string;
  /** What it was decided on: figures by name, in the units that the names say. */
  readonly evidence: Readonly<Record<string, string | number>>;
}

/** Where events go. Never throws, never waits: a sink that cannot send drops and counts. */
export interface EventSink {
  emit(event: Omit<MeshEvent, "id" | "timeMs" | "cluster" | "node">): void;
}
