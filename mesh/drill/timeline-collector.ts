// What the nodes of all clusters decide while a drill runs, in the coordinator's time; and whether
// any of it is about something that the drill does not touch.
import type { TimelineEntry } from "../operations/questions.ts";
import { askQuietly } from "./ask-quietly.ts";
import type { DrillMesh, Place } from "./drill-mesh.ts";
import type { MeshFacts, NodeFacts } from "./facts.ts";
import type { FaultEffects } from "./faults.ts";
import type { TimedEntry } from "./times.ts";

/** An entry whose time is the coordinator's wall clock. */
export interface PlacedEntry {
  readonly place: Place;
  readonly atMs: number;
  readonly entry: TimelineEntry;
}

export interface TimelineCollector {
  /** Asks every node for everything since the run began. */
  poll(signal: AbortSignal): Promise<void>;
  entries(): readonly PlacedEntry[];
}

export function createTimelineCollector(options: {
  readonly mesh: DrillMesh;
  readonly facts: MeshFacts;
  /** By the coordinator's wall clock. */
  readonly sinceMs: number;
}): TimelineCollector {
  const { mesh, facts, sinceMs } = options;
  const nodes = facts.clusters.flatMap(({ name, nodes: own }) =>
    own.map((node) => ({ place: { cluster: name, node: node.name }, node })),
  );
  const found = new Map<string, readonly PlacedEntry[]>();

  async function read(place: Place, node: NodeFacts, signal: AbortSignal): Promise<void> {
    const { offsetMs } = node.clock;
    const since = Math.max(0, Math.floor(sinceMs + offsetMs));
    const answer = await askQuietly(mesh, place, { ask: "timeline", sinceMs: since }, signal);
    if (answer === undefined) return;
    const entries = answer.entries.map((entry) => ({
      place,
      atMs: entry.timeMs - offsetMs,
      entry,
    }));
    // An agent that was started anew has forgotten what it said before.
    const key = `${place.cluster}/${place.node}`;
    const [first] = entries;
    const kept = (found.get(key) ?? []).filter(
      ({ entry }) => first === undefined || entry.timeMs < first.entry.timeMs,
    );
    found.set(key, [...kept, ...entries]);
  }

  return {
    poll: async (signal) => {
      await Promise.all(nodes.map(({ place, node }) => read(place, node, signal)));
    },
    entries: () => [...found.values()].flat().sort((a, b) => a.atMs - b.atMs),
  };
}

/** A cluster that was declared down though the drill does not come between the two. */
export function findRealFailure(
  entries: readonly PlacedEntry[],
  effects: Pick<FaultEffects, "expects">,
): string | undefined {
  const real = entries.find(
    ({ place, entry }) =>
      (entry.what === "detected" || entry.what === "decided") &&
      !effects.expects(place.cluster, entry.cluster),
  );
  if (real === undefined) return undefined;
  const { place, entry } = real;
  return `A real failure: ${place.cluster}/${place.node} says of "${entry.cluster}": ${entry.text}`;
}

export function timedEntries(
  entries: readonly PlacedEntry[],
  injectedAtMs: number,
): readonly TimedEntry[] {
  return entries.map(({ place, atMs, entry }) => ({
    atMs: atMs - injectedAtMs,
    observer: place,
    what: entry.what,
    cluster: entry.cluster,
    text: entry.text,
  }));
}
