// What this node has decided and done lately, for the drill that asks how long each step took.
import type { TimelineEntry } from "../../mesh/operations/questions.ts";

export interface Timeline {
  add(entry: TimelineEntry): void;
  /** In order; those at `sinceMs` (wall clock) and later. */
  since(sinceMs: number): readonly TimelineEntry[];
}

/** A few hours of a mesh that flaps; the oldest go first. */
const ENTRIES_MAX = 2_000;

export function createTimeline(): Timeline {
  const entries: TimelineEntry[] = [];
  return {
    add(entry) {
      entries.push(entry);
      if (entries.length > ENTRIES_MAX) entries.splice(0, entries.length - ENTRIES_MAX);
    },
    since: (sinceMs) => entries.filter(({ timeMs }) => timeMs >= sinceMs),
  };
}
