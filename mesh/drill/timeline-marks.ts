// The marks of a run's timeline: what the coordinator did, what nodes decided, how far their clocks
// stood apart. Pure.
import type { MeshFacts } from "./facts.ts";
import type { TimelineMark } from "./report.ts";
import type { TimedEntry } from "./times.ts";

/** A difference that is smaller is of no interest to anybody. */
const CLOCK_WORTH_TELLING_MS = 5;

export function drillMarks(
  facts: MeshFacts,
  entries: readonly TimedEntry[],
  liftedMs: number,
): readonly TimelineMark[] {
  const own = { node: "", cluster: "" };
  const marks: TimelineMark[] = [
    { ...own, atMs: 0, what: "injected", text: "the fault begins" },
    { ...own, atMs: liftedMs, what: "lifted", text: "the fault is lifted" },
    ...entries.map(({ atMs, observer, what, cluster, text }) => ({
      atMs,
      node: `${observer.cluster}/${observer.node}`,
      cluster,
      what,
      text,
    })),
  ];
  const clocks = facts.clusters.flatMap(({ name, nodes }) =>
    nodes.flatMap(({ name: node, clock }): TimelineMark[] => {
      const { offsetMs, uncertaintyMs } = clock;
      if (Math.abs(offsetMs) < CLOCK_WORTH_TELLING_MS + uncertaintyMs) return [];
      const way = offsetMs > 0 ? "ahead of" : "behind";
      const by = Math.round(Math.abs(offsetMs));
      const size = `${by} ms (give or take ${Math.ceil(uncertaintyMs)})`;
      const text = `its clock is ${size} ${way} the coordinator's; all times are corrected by that`;
      return [{ atMs: 0, node: `${name}/${node}`, cluster: name, what: "clock", text }];
    }),
  );
  return [...marks, ...clocks].sort((a, b) => a.atMs - b.atMs);
}
