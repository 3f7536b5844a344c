// Rounds by hand for the judge's tests: says who answers, who is silent and what connects came to,
// round by round, and collects what the judge makes of it.
import { createJudge, type JudgeOptions } from "../../../../agent/health/judge.ts";
import type {
  BackendEvidence,
  Family,
  HealthView,
  Judgement,
  PassiveEvidence,
  Transition,
} from "../../../../agent/health/observation.ts";

export const OWN = 1;

export interface RoundOptions {
  /** Names like "west/n1": those that do not answer in this round. */
  readonly silent?: readonly string[];
  /** Names of clusters or nodes that are in no list any more. */
  readonly gone?: readonly string[];
  readonly afterMs?: number;
  readonly blind?: boolean;
  /** Of everybody, or by cluster (5 ms for those that are not named). */
  readonly roundTripMs?: number | Readonly<Record<string, number>>;
  readonly heardRequests?: Readonly<Record<number, number>>;
  readonly passive?: readonly (Partial<PassiveEvidence> & { readonly clusterId: number })[];
  readonly suspects?: readonly (Partial<BackendEvidence> & { readonly backendId: number })[];
}

/** Nothing is asked between rounds: those that are not silent have answered meanwhile. */
export type GlanceOptions = Omit<RoundOptions, "gone" | "blind">;

interface Row {
  sent: number;
  answered: number;
  lastAnswerMs: number | undefined;
}

export interface Rounds {
  readonly atMs: number;
  readonly view: HealthView;
  readonly transitions: readonly Transition[];
  /** As many rounds alike; says what changed in them, in short. */
  run(rounds: number, options?: RoundOptions): string[];
  /** As `run`, until something changes or so many rounds have passed; how many it took. */
  until(what: string, options?: RoundOptions, most?: number): number;
  /** A look 25 ms later (or `afterMs`), which the next round counts as well. */
  glance(options?: GlanceOptions): string[];
  readonly glanceAgain: boolean;
  stateOf(clusterId: number, family?: Family): string;
  join(name: string): void;
  /** The kernel's rows of a cluster are removed. */
  clear(cluster: string): void;
}

/** Clusters have ids in the order of their names, from 1 (our own) on: "own/n0", "west/n1" ... */
export function createRounds(
  names: readonly string[],
  options: Partial<JudgeOptions> = {},
): Rounds {
  const judge = createJudge({ ownClusterId: OWN, ownNode: "n0", ...options });
  const present = new Set(names);
  const ids = new Map<string, number>([["own", OWN]]);
  const rows = new Map<string, Row>();
  const transitions: Transition[] = [];
  let atMs = 1_000;
  let askedMs = atMs;
  let judgement: Judgement | undefined;

  const idOf = (cluster: string): number => {
    const id = ids.get(cluster) ?? ids.size + 1;
    ids.set(cluster, id);
    return id;
  };
  for (const name of names) idOf(name.split("/")[0] ?? "");

  const rounds: Rounds = {
    get atMs() {
      return atMs;
    },
    get view() {
      return judgement?.view ?? judge.step(observe({ afterMs: 0 })).view;
    },
    transitions,
    get glanceAgain() {
      return judgement?.glanceAgain ?? false;
    },
    glance({ afterMs = 25, ...round } = {}) {
      const before = structuredClone([...rows]);
      const observation = observe({ ...round, afterMs });
      judgement = judge.glance({ ...observation, askedMs });
      for (const [name, row] of before) rows.set(name, row);
      transitions.push(...judgement.transitions);
      return judgement.transitions.map(shortOf);
    },
    run(count, round = {}) {
      const from = transitions.length;
      for (let i = 0; i < count; i += 1) step(round);
      return transitions.slice(from).map(shortOf);
    },
    until(what, round = {}, most = 2_000) {
      for (let i = 1; i <= most; i += 1) {
        const from = transitions.length;
        step(round);
        if (transitions.slice(from).map(shortOf).includes(what)) return i;
      }
      throw new Error(`Nothing became "${what}" in ${most} rounds`);
    },
    stateOf: (clusterId, family = 4) =>
      rounds.view.clusters.find((c) => c.clusterId === clusterId && c.family === family)?.state ??
      "none",
    join(name) {
      idOf(name.split("/")[0] ?? "");
      present.add(name);
    },
    clear(cluster) {
      for (const name of rows.keys()) if (isIn(name, [cluster])) rows.delete(name);
    },
  };
  return rounds;

  function step(round: RoundOptions): void {
    judgement = judge.step(observe(round));
    askedMs = atMs;
    transitions.push(...judgement.transitions);
  }

  function observe(round: RoundOptions): Parameters<typeof judge.step>[0] {
    const { silent = [], gone = [], afterMs = 100, blind = false, roundTripMs = 5 } = round;
    atMs += afterMs;
    const targets = [...present]
      .filter((name) => !isIn(name, gone))
      .map((name) => {
        const [cluster = "", node = ""] = name.split("/");
        const row = rows.get(name) ?? { sent: 0, answered: 0, lastAnswerMs: undefined };
        rows.set(name, row);
        row.sent += 1;
        if (!isIn(name, silent)) {
          row.answered += 1;
          row.lastAnswerMs = atMs - 90;
        }
        const usual = typeof roundTripMs === "number" ? roundTripMs : (roundTripMs[cluster] ?? 5);
        const trip = row.lastAnswerMs === undefined ? undefined : usual;
        const clusterId = idOf(cluster);
        return { clusterId, cluster, family: 4 as const, node, ...row, roundTripMs: trip };
      });
    const none = { connects: 0, established: 0, failed: 0, retransmissions: 0, aborted: 0 };
    return {
      atMs,
      blind,
      targets,
      heardRequests: new Map(
        Object.entries(round.heardRequests ?? {}).map(([id, ms]) => [Number(id), ms]),
      ),
      passive: (round.passive ?? []).map((evidence) => ({ ...none, ...evidence })),
      suspects: (round.suspects ?? []).map((evidence) => ({
        clusterId: 2,
        cluster: "west",
        family: 4 as const,
        node: "n1",
        failures: 0,
        established: 0,
        retransmissions: 0,
        ...evidence,
      })),
    };
  }
}

function isIn(name: string, list: readonly string[]): boolean {
  return list.includes(name) || list.includes(name.split("/")[0] ?? "");
}

/** "west suspect", "west/n1 down", "backend 7 down", "isolated"; steps as "west recovering 50". */
function shortOf({ subject, to, evidence }: Transition): string {
  switch (subject.kind) {
    case "cluster":
      return to === "recovering"
        ? `${subject.cluster} recovering ${evidence["heldBackPercent"]}`
        : `${subject.cluster} ${to}`;
    case "node":
      return `${subject.cluster}/${subject.node} ${to}`;
    case "backend":
      return `backend ${subject.backendId} ${to}`;
    case "isolation":
      return to;
  }
}
