// What `mesh status` says of drills: how much of the failover that is configured was seen at work.
// Pure; what apiservers tell and the reports of this machine come in as values.
import type { DrillCheckMessage } from "../api/apiserver-client.ts";
import { coverEdges, type DrilledFailovers, type Freshness } from "../drill/coverage.ts";

type Failover = DrillCheckMessage["failovers"][number];

export interface DrillStatus {
  /** Why nothing is known, in a sentence; empty otherwise. */
  readonly problem: string;
  readonly staleDays: number;
  readonly configured: number;
  readonly neverDrilled: number;
  readonly stale: number;
  /** What ought to be drilled first. */
  readonly failovers: readonly (Failover & {
    readonly state: "never-drilled" | "stale" | "fresh";
  })[];
}

/** So many names show what is meant. */
const SHOWN = 3;

export function wantsDrills({ failovers }: DrillCheckMessage, freshness: Freshness): boolean {
  const { coverage } = coverEdges(failovers, ({ lastDrilledMs }) => lastDrilledMs, freshness);
  return coverage.fresh < coverage.configured;
}

/** `own` are the drills that this machine has reports of. */
export function drillStatus(
  { problem, failovers }: DrillCheckMessage,
  own: DrilledFailovers,
  freshness: Freshness,
): DrillStatus {
  const all = failovers.map((failover) => ({
    ...failover,
    lastDrilledMs: Math.max(failover.lastDrilledMs, own.lastMs(failover)),
  }));
  const { never, stale } = coverEdges(all, ({ lastDrilledMs }) => lastDrilledMs, freshness);
  const open = new Set([...never, ...stale]);
  const fresh = all.filter((failover) => !open.has(failover));
  return {
    problem,
    staleDays: freshness.staleDays,
    configured: all.length,
    neverDrilled: never.length,
    stale: stale.length,
    failovers: [
      ...never.map((failover) => ({ ...failover, state: "never-drilled" as const })),
      ...stale.map((failover) => ({ ...failover, state: "stale" as const })),
      ...fresh.map((failover) => ({ ...failover, state: "fresh" as const })),
    ],
  };
}

/** One remark for all clusters that could tell, one for each reason why others could not. */
export function formatDrillStatuses(
  clusters: readonly { readonly name: string; readonly drills?: DrillStatus | undefined }[],
): { readonly remarks: readonly string[]; readonly wellDone: string } {
  const told = clusters.flatMap(({ drills }) => (drills?.problem === "" ? [drills] : []));
  const silent = clusters.filter(({ drills }) => drills !== undefined && drills.problem !== "");
  const byProblem = Map.groupBy(silent, ({ drills }) => drills?.problem ?? "");
  const unknown = [...byProblem].map(([problem, several]) => {
    const names = several.map(({ name }) => name).join(", ");
    return `${names}: what was drilled is not known: ${problem}`;
  });
  const sum = (count: (drills: DrillStatus) => number): number =>
    told.reduce((total, drills) => total + count(drills), 0);
  const configured = sum((drills) => drills.configured);
  const never = sum((drills) => drills.neverDrilled);
  const stale = sum((drills) => drills.stale);
  const days = told[0]?.staleDays ?? 0;
  if (never + stale === 0) {
    const wellDone = `Drilled in the last ${days} days: ${configured} of ${configured} failovers`;
    return { remarks: unknown, wellDone: configured === 0 ? "" : wellDone };
  }
  const counts = [
    ...(never === 0 ? [] : [`${never} never drilled`]),
    ...(stale === 0 ? [] : [`${stale} not for ${days} days`]),
  ];
  const remark = `failover: of ${configured} configured, ${counts.join(", ")}: ${namesOf(told)}`;
  return { remarks: [`${remark}; \`mesh drill suggest\` names all`, ...unknown], wellDone: "" };
}

/** Clients of several clusters may fail over alike: that is one drill. */
function namesOf(told: readonly DrillStatus[]): string {
  const open = told.flatMap(({ failovers }) => failovers.filter(({ state }) => state !== "fresh"));
  // In the order of their states over all clusters.
  const sorted = open.sort((a, b) => (a.state < b.state ? -1 : a.state > b.state ? 1 : 0));
  const names = [...new Set(sorted.map(({ service, from }) => `${service} away from ${from}`))];
  const more = names.length > SHOWN ? ", …" : "";
  return names.slice(0, SHOWN).join(", ") + more;
}
