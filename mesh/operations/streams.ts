// The two streams of every cluster, with their limits. What a peer says comes into the cluster's
// own streams, so a mesh that is cut in pieces keeps what each piece has heard.
import type { StreamDefinition } from "./connection.ts";
import { EVENT_MAX_BYTES } from "./event.ts";

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

export const EVENTS_STREAM: StreamDefinition = {
  name: "EVENTS",
  subjects: ["tombolo.events.>"],
  maxAgeMs: 7 * DAY_MS,
  maxBytes: 64 * MIB,
  // Headers besides: the id.
  maxMessageBytes: EVENT_MAX_BYTES + 1024,
  // A cluster that flaps all week changes its state some hundred times a day.
  maxMessagesPerSubject: 2_000,
};

export const DRILLS_STREAM: StreamDefinition = {
  name: "DRILLS",
  subjects: ["tombolo.drills.>"],
  maxAgeMs: 365 * DAY_MS,
  maxBytes: 64 * MIB,
  maxMessageBytes: 4 * MIB,
  // A report is told once, and once more when the same drill is told to the end.
  maxMessagesPerSubject: 2,
};

export const STREAMS: readonly StreamDefinition[] = [EVENTS_STREAM, DRILLS_STREAM];
