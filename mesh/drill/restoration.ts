// Proof that a drill left nothing behind: the datapath's rows before and after, compared.
import type { Clock } from "../core/clock.ts";
import type { SnapshotAnswer } from "../operations/questions.ts";
import { askQuietly } from "./ask-quietly.ts";
import { placeName, type DrillMesh } from "./drill-mesh.ts";
import { nodePlaces, type MeshFacts } from "./facts.ts";

/** By the name of the place; a node that did not answer is missing. */
export type Snapshots = ReadonlyMap<string, SnapshotAnswer>;

const AGAIN_MS = 1_000;

export async function takeSnapshots(
  mesh: DrillMesh,
  facts: MeshFacts,
  signal: AbortSignal,
): Promise<Snapshots> {
  const places = facts.clusters.flatMap(nodePlaces);
  const answers = await Promise.all(
    places.map(async (place) => {
      const answer = await askQuietly(mesh, place, { ask: "snapshot" }, signal);
      return [placeName(place), answer] as const;
    }),
  );
  return new Map(
    answers.flatMap(([name, answer]) => (answer === undefined ? [] : [[name, answer]])),
  );
}

/** Looks again until nothing differs or `limitMs` is over. Returns the differences. */
export async function awaitRestoration(
  options: {
    readonly mesh: DrillMesh;
    readonly facts: MeshFacts;
    readonly before: Snapshots;
    readonly clock: Clock;
    readonly limitMs: number;
  },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { mesh, facts, before, clock, limitMs } = options;
  const endMs = clock.monotonicMs() + limitMs;
  for (;;) {
    const differences = compareSnapshots(before, await takeSnapshots(mesh, facts, signal));
    if (differences.length === 0 || clock.monotonicMs() >= endMs) return differences;
    await clock.sleep(AGAIN_MS, signal);
  }
}

/** "NODE MAP: before … after …" for each difference. */
export function compareSnapshots(before: Snapshots, after: Snapshots): readonly string[] {
  return [...before].flatMap(([node, old]) => {
    const now = after.get(node);
    if (now === undefined) return [`${node}: its agent does not answer: nothing is proved of it`];
    const maps = [...new Set([...Object.keys(old.digests), ...Object.keys(now.digests)])].sort();
    return maps
      .filter((map) => old.digests[map] !== now.digests[map])
      .map((map) => `${node} ${map}: before ${shown(old, map)}, after ${shown(now, map)}`);
  });
}

function shown({ digests, rows }: SnapshotAnswer, map: string): string {
  const digest = digests[map];
  return digest === undefined ? "nothing" : `${rows[map] ?? 0} rows (${digest.slice(0, 12)})`;
}
