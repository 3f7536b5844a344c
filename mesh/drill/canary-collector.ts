// Canaries of a run: ordered once on every node, read while they run, stopped and read to the end.
import type { Clock } from "../core/clock.ts";
import { CANARY_RECORDS_MAX, type CanaryRecord, type KeptFlow } from "../operations/questions.ts";
import { askQuietly } from "./ask-quietly.ts";
import type { DrillMesh } from "./drill-mesh.ts";
import type { ClockFacts, MeshFacts } from "./facts.ts";
import type { CanaryPlan } from "./plan.ts";
import type { CanaryEvidence } from "./samples.ts";

export interface CanaryCollector {
  /** Throws when a node does not take the order: nothing would be known of its clients. */
  start(ttlMs: number, signal: AbortSignal): Promise<void>;
  /** Resolves when every order has brought something, or has brought nothing for so long. */
  awaitFirst(limitMs: number, signal: AbortSignal): Promise<void>;
  /** Reads what is new and renews the order; nodes that do not answer are read later. */
  poll(signal: AbortSignal): Promise<void>;
  /** Sends no more, waits until the last request must have ended, and reads to the end. */
  finish(signal: AbortSignal): Promise<void>;
  evidence(): readonly CanaryEvidence[];
  /** Nodes that did not give all of their records at the end. */
  readonly silent: readonly string[];
}

const RENEW_MS = 5_000;
const FIRST_LOOK_MS = 200;

interface Tally {
  readonly records: CanaryRecord[];
  kept: readonly KeptFlow[];
}

export function createCanaryCollector(options: {
  readonly mesh: DrillMesh;
  readonly drill: string;
  readonly plans: readonly CanaryPlan[];
  readonly facts: MeshFacts;
  readonly clock: Clock;
}): CanaryCollector {
  const { mesh, drill, plans, facts, clock } = options;
  const tallies = new Map<CanaryPlan, Tally[]>(
    plans.map((plan) => [plan, plan.orders.map(() => ({ records: [], kept: [] }))]),
  );
  const silent = new Set<string>();
  let ttlMs = 0;
  let renewedAtMs = 0;

  /** One answer; true if there may be more already. */
  async function read(plan: CanaryPlan, signal: AbortSignal): Promise<boolean | undefined> {
    const own = tallies.get(plan) ?? [];
    const from = own.map(({ records }) => records.length);
    const question = { ask: "canary-records", drill, from } as const;
    const answer = await askQuietly(mesh, plan.place, question, signal);
    if (answer === undefined) return undefined;
    answer.orders.forEach(({ records, kept }, index) => {
      const tally = own[index];
      if (tally === undefined) return;
      // Numbers tell what is new, also if two answers overlap.
      for (const record of records) {
        if (record.n === tally.records.length) tally.records.push(record);
      }
      tally.kept = kept;
    });
    return answer.orders.some(({ records }) => records.length >= CANARY_RECORDS_MAX);
  }

  async function readAll(plan: CanaryPlan, signal: AbortSignal): Promise<void> {
    let more: boolean | undefined = true;
    while (more === true) more = await read(plan, signal);
    const name = `${plan.place.cluster}/${plan.place.node}`;
    if (more === undefined) silent.add(name);
    else silent.delete(name);
  }

  const readEverywhere = async (signal: AbortSignal): Promise<void> => {
    await Promise.all(plans.map((plan) => readAll(plan, signal)));
  };

  /** The same orders again only take longer. */
  async function renew(signal: AbortSignal): Promise<void> {
    if (clock.monotonicMs() - renewedAtMs < RENEW_MS) return;
    renewedAtMs = clock.monotonicMs();
    const again = plans.map(({ place, orders }) =>
      askQuietly(mesh, place, { ask: "canaries", drill, orders, ttlMs }, signal),
    );
    await Promise.all(again);
  }

  return {
    start: async (wantedMs, signal) => {
      ttlMs = wantedMs;
      renewedAtMs = clock.monotonicMs();
      await Promise.all(
        plans.map(({ place, orders }) =>
          mesh.ask(place, { ask: "canaries", drill, orders, ttlMs }, signal),
        ),
      );
    },
    awaitFirst: async (limitMs, signal) => {
      const endMs = clock.monotonicMs() + limitMs;
      for (;;) {
        await readEverywhere(signal);
        const isSilent = [...tallies.values()].flat().some(({ records }) => records.length === 0);
        if (!isSilent || clock.monotonicMs() >= endMs) return;
        await clock.sleep(FIRST_LOOK_MS, signal);
      }
    },
    poll: async (signal) => {
      await Promise.all([renew(signal), readEverywhere(signal)]);
    },
    finish: async (signal) => {
      const stop = { ask: "canaries", drill, orders: [], ttlMs: 0 } as const;
      await Promise.all(plans.map(({ place }) => askQuietly(mesh, place, stop, signal)));
      const timeouts = plans.flatMap(({ orders }) => orders.map(({ timeoutMs }) => timeoutMs));
      await clock.sleep(Math.max(0, ...timeouts) + 100, signal);
      await readEverywhere(signal);
    },
    evidence: () =>
      plans.flatMap((plan) =>
        plan.orders.map((order, index) => ({
          place: plan.place,
          order,
          records: tallies.get(plan)?.[index]?.records ?? [],
          kept: tallies.get(plan)?.[index]?.kept ?? [],
          clock: clockOf(facts, plan),
        })),
      ),
    get silent() {
      return [...silent].sort();
    },
  };
}

function clockOf(facts: MeshFacts, { place }: CanaryPlan): ClockFacts {
  const cluster = facts.clusters.find(({ name }) => name === place.cluster);
  const node = cluster?.nodes.find(({ name }) => name === place.node);
  return node?.clock ?? { offsetMs: 0, uncertaintyMs: 0 };
}
