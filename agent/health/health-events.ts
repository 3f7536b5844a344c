// The judge's transitions in the words that people read: an event each. Pure.
import type { EventKind, EventSeverity, EventSink } from "../../mesh/operations/event.ts";
import type { HealthState, HealthSubject, Transition } from "./observation.ts";

type SaidEvent = Parameters<EventSink["emit"]>[0];

const KINDS: Readonly<Record<HealthSubject["kind"], EventKind>> = {
  cluster: "cluster-health",
  node: "node-health",
  backend: "backend-health",
  isolation: "isolation",
};

export function eventOfTransition(transition: Transition): SaidEvent {
  const { subject, from, to, evidence } = transition;
  return {
    kind: KINDS[subject.kind],
    severity: severityOf(transition),
    subject: subjectOf(subject),
    from,
    to,
    text: textOf(transition),
    evidence: subject.kind === "isolation" ? evidence : { family: subject.family, ...evidence },
  };
}

/** A flap between healthy and suspect costs nothing; what moves traffic away does. */
function severityOf({ to }: Transition): EventSeverity {
  if (to === "down" || to === "isolated") return "error";
  return to === "suspect" ? "warning" : "info";
}

function subjectOf(subject: HealthSubject): string {
  switch (subject.kind) {
    case "cluster":
      return subject.cluster;
    case "node":
      return `${subject.cluster}/${subject.node}`;
    case "backend":
      return `${subject.cluster}/${subject.node ?? "?"}`;
    case "isolation":
      return "uplink";
  }
}

const CLUSTER_MEANS: Readonly<Record<HealthState, string>> = {
  unknown: "nothing is known of it",
  healthy: "it gets its whole share of new connections",
  suspect: "it is still used",
  down: "new connections go elsewhere",
  recovering: "new connections return in steps",
};

function textOf({ subject, from, to }: Transition): string {
  if (subject.kind === "isolation") {
    return to === "isolated"
      ? "Nobody answers this node: its own uplink counts as down, others are the last resort"
      : "Somebody answers this node again: others are used as before";
  }
  const over = `over IPv${subject.family}`;
  const turned = from === to ? `is still ${to}` : `was ${from} and is ${to}`;
  if (subject.kind === "cluster") {
    const means = CLUSTER_MEANS[to as HealthState];
    return `Cluster "${subject.cluster}" ${turned} ${over}: ${means}`;
  }
  const place = `"${subject.cluster}/${subject.node ?? "unknown node"}"`;
  if (subject.kind === "node") return `Node ${place} ${turned} ${over}`;
  return `Backend ${subject.backendId} on ${place} ${turned} ${over}`;
}
