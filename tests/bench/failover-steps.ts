// The steps of a failover as the agents that stay have noted them: their timelines, asked through
// the sockets of their nodes as a drill asks them. Wall clocks agree: all nodes are this machine.
import type { PodHost } from "../../deploy/lab/pods.ts";
import { createAgentClient } from "../../mesh/api/agent-client.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import type { AnswerTo, Question, TimelineEntry } from "../../mesh/operations/questions.ts";
import { eventually } from "../fakes/eventually.ts";

/** Milliseconds: the first from the cut, the others from the step before. */
export interface CutSteps {
  readonly detection: number;
  readonly decision: number;
  readonly apply: number;
  readonly "flows reset": number;
}

/** Hold-downs double with every cut, up to a minute; then traffic returns in steps. */
const HEALTHY_LIMIT_MS = 180_000;

export const STEPS = ["detection", "decision", "apply", "flows reset"] as const;

/** One of every agent outside the lost cluster and every family in which it called it down. */
export async function readCutSteps(
  host: PodHost,
  cut: { readonly lost: string; readonly atMs: number },
): Promise<CutSteps[]> {
  const nodes = host.plan.members
    .filter(({ name }) => name !== cut.lost)
    .flatMap((cluster) => cluster.nodes);
  const question = { ask: "timeline", sinceMs: cut.atMs } as const;
  const timelines = await Promise.all(nodes.map(({ socket }) => ask(socket, question)));
  return timelines.flatMap(({ entries }) => stepsOf(entries, cut));
}

/** Until every agent outside the cluster gives it its whole share of connections again. */
export async function untilHealthy(host: PodHost, lost: string): Promise<void> {
  const nodes = host.plan.members
    .filter(({ name }) => name !== lost)
    .flatMap((cluster) => cluster.nodes);
  const isHealthy = async (): Promise<boolean> => {
    const answers = await Promise.all(nodes.map(({ socket }) => ask(socket, { ask: "health" })));
    return answers.every(({ clusters }) =>
      clusters.every(({ name, state }) => name !== lost || state === "healthy"),
    );
  };
  await eventually(isHealthy, {
    limitMs: HEALTHY_LIMIT_MS,
    what: `every agent finds ${lost} healthy`,
  });
}

async function ask<Asked extends Question>(
  socket: string,
  question: Asked,
): Promise<AnswerTo<Asked>> {
  const client = createAgentClient({ socket, clock: systemClock });
  try {
    const answer = await client.ask(JSON.stringify(question), new AbortController().signal);
    return JSON.parse(answer) as AnswerTo<Asked>;
  } finally {
    client.close();
  }
}

/** A cluster that goes down is detected, decided and applied once a family, then its flows end. */
export function stepsOf(
  entries: readonly TimelineEntry[],
  { lost, atMs }: { readonly lost: string; readonly atMs: number },
): CutSteps[] {
  const times = (what: TimelineEntry["what"], isWanted: (text: string) => boolean): number[] =>
    entries
      .filter((entry) => entry.what === what && entry.cluster === lost && isWanted(entry.text))
      .map(({ timeMs }) => timeMs);
  const isCluster = (text: string): boolean => text.startsWith(`Cluster "${lost}"`);
  const detected = times("detected", isCluster);
  const decided = times("decided", isCluster);
  const applied = times("applied", isCluster);
  const resets = times("flows-reset", () => true);
  /** Each counts for one family; those that came before belong to something else. */
  const takeReset = (fromMs: number): number => {
    const index = resets.findIndex((timeMs) => timeMs >= fromMs);
    return index < 0 ? Number.NaN : (resets.splice(index, 1)[0] ?? Number.NaN);
  };
  return detected.flatMap((detectedMs, i) => {
    const decidedMs = decided[i] ?? Number.NaN;
    const appliedMs = applied[i] ?? Number.NaN;
    const resetMs = takeReset(appliedMs);
    return {
      detection: detectedMs - atMs,
      decision: decidedMs - detectedMs,
      apply: appliedMs - decidedMs,
      "flows reset": resetMs - appliedMs,
    };
  });
}
