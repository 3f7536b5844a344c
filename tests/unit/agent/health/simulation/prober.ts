// The prober of the simulation: plans with the real planner, sends over the simulated network,
// keeps the totals that the kernel keeps, and makes the observation of each round.
import { createAttention, type Closeness } from "../../../../../agent/health/attention.ts";
import type {
  BackendEvidence,
  Family,
  HealthView,
  Observation,
  ProbedTarget,
} from "../../../../../agent/health/observation.ts";
import {
  planProbes,
  probesOfRound,
  rankNodes,
  type ProbeGroup,
} from "../../../../../agent/health/targets.ts";
import { isGone, isOn, isSilenced, largest, lossOf, type Network } from "./network.ts";

export const INTERVAL_MS = 100;
const FAMILIES: readonly Family[] = [4, 6];

interface Row {
  readonly clusterId: number;
  readonly cluster: string;
  readonly family: Family;
  readonly node: string;
  sent: number;
  due: number;
  answered: number;
  lastAnswerMs: number | undefined;
  roundTripMs: number | undefined;
  /** When answers arrive that are on their way, and their round trips. */
  pending: { atMs: number; roundTripMs: number }[];
}

export interface SimulatedProber {
  observe(atMs: number): Observation;
  /** Sends the probes of the round that was just judged. */
  send(atMs: number, view: HealthView | undefined): void;
  /** Who of a group is probed at present. */
  asked(clusterId: number, family: Family): string[];
  /** When anybody of a group has last answered, in truth. */
  lastAnswerMs(clusterId: number, family: Family): number | undefined;
}

export function createSimulatedProber(network: Network, random: () => number): SimulatedProber {
  const self = { cluster: network.own.name, node: network.own.nodes[0] ?? "" };
  const everybody = [network.own, ...network.clusters];
  const ranked = rankNodes(
    everybody.flatMap(({ id, name, nodes }) =>
      nodes.map((node) => ({ clusterId: id, cluster: name, node, families: FAMILIES })),
    ),
    self,
  );
  const { probesPerSecondMax, probesPerSecondQuiet, unused = [] } = network;
  const budget = {
    ...(probesPerSecondMax === undefined ? {} : { probesPerSecondMax }),
    ...(probesPerSecondQuiet === undefined ? {} : { probesPerSecondQuiet }),
  };
  const attention = createAttention({ intervalMs: INTERVAL_MS });
  const leaving = network.clusters.filter(({ id }) =>
    network.faults.some(({ kind, clusterId }) => kind === "gone" && clusterId === id),
  );
  let gone = "";
  const roundTrips = new Map(everybody.map(({ id, roundTripMs }) => [id, roundTripMs]));
  const rows = new Map<string, Row>();
  let planned: { group: ProbeGroup; turns: Row[][] }[] = [];
  let more: { row: Row; extra: number }[] = [];
  let wasBusy = false;
  let seen: Observation | undefined;
  let closeness: Closeness = { isAlert: true, watched: new Set() };
  let backendsDown: ReadonlySet<number> = new Set();
  let round = 0;
  let lastMs: number | undefined;

  return {
    observe(atMs) {
      meet(atMs);
      const blind = lastMs !== undefined && atMs - lastMs > 2.5 * INTERVAL_MS;
      for (const row of rows.values()) receive(row, atMs);
      const targets = [...rows.values()].map((row): ProbedTarget => ({
        clusterId: row.clusterId,
        cluster: row.cluster,
        family: row.family,
        node: row.node,
        sent: row.due,
        answered: row.answered,
        lastAnswerMs: row.lastAnswerMs,
        roundTripMs: row.roundTripMs,
      }));
      lastMs = atMs;
      seen = { atMs, blind, targets, ...connections(atMs) };
      return seen;
    },
    send(atMs, view) {
      round += 1;
      backendsDown = new Set(view?.backendsDown);
      if (view !== undefined || planned.length === 0) replan(view);
      for (const { group, turns } of planned) {
        // Turns repeat as soon as every node was the first of one.
        const turn = round % (group.nodes.length * group.everyRounds);
        turns[turn] ??= probesOfRound(group, turn).map((node) => rowOf(group, node));
        for (const row of turns[turn]) sendOne(row, atMs);
      }
      for (const { row, extra } of more) {
        for (let i = 0; i < extra; i += 1) sendOne(row, atMs);
      }
    },
    asked: (clusterId, family) =>
      [...rows.values()]
        .filter((row) => row.clusterId === clusterId && row.family === family)
        .map(({ node }) => node),
    lastAnswerMs(clusterId, family) {
      let last: number | undefined;
      for (const row of rows.values()) {
        if (row.clusterId !== clusterId || row.family !== family) continue;
        if (row.lastAnswerMs !== undefined) last = Math.max(last ?? 0, row.lastAnswerMs);
      }
      return last;
    },
  };

  /** Peers that are removed lose their rows in the kernel, and get new ones when they return. */
  function meet(atMs: number): void {
    if (leaving.length === 0) return;
    const missing = leaving.map(({ id }) => id).filter((id) => isGone(network, id, atMs));
    if (missing.join() === gone) return;
    gone = missing.join();
    planned = [];
    more = [];
    for (const [key, { clusterId }] of rows) if (missing.includes(clusterId)) rows.delete(key);
  }

  /** As seldom as can be: a scenario has many rounds and few changes. */
  function replan(view: HealthView | undefined): void {
    const { nodesDown = [], probeAlso = [] } = view ?? {};
    const suspected = new Set<number>();
    for (const { state, reason, clusterId } of view?.clusters ?? []) {
      if (state === "suspect" && reason === "silent") suspected.add(clusterId);
    }
    const isBusy = nodesDown.length + probeAlso.length + suspected.size > 0;
    const before = closeness;
    if (view !== undefined && seen !== undefined) closeness = attention.look(seen, view);
    const isSame = closeness.isAlert === before.isAlert && closeness.watched === before.watched;
    if (isSame && !isBusy && !wasBusy && planned.length > 0) return;
    wasBusy = isBusy;
    const present =
      gone === "" ? ranked : ranked.filter((g) => !gone.split(",").includes(String(g.clusterId)));
    const options = { intervalMs: INTERVAL_MS, nodesDown, suspected, ...budget, ...closeness };
    const plan = planProbes(present, options);
    planned = plan.filter(({ nodes }) => nodes.length > 0).map((group) => ({ group, turns: [] }));
    const keep = new Set(
      planned.flatMap(({ group }) => group.nodes.map((node) => rowOf(group, node))),
    );
    more = probeAlso.map(({ node, probesPerRound, ...group }) => {
      const row = rowOf(group, node);
      return { row, extra: keep.has(row) ? probesPerRound - 1 : probesPerRound };
    });
    for (const { row } of more) keep.add(row);
    for (const [key, row] of rows) if (!keep.has(row)) rows.delete(key);
  }

  function rowOf(group: Pick<Row, "clusterId" | "cluster" | "family">, node: string): Row {
    const { clusterId, cluster, family } = group;
    const key = `${clusterId}/${family}/${node}`;
    let row = rows.get(key);
    if (row === undefined) {
      const totals = { sent: 0, due: 0, answered: 0, pending: [] };
      const answer = { lastAnswerMs: undefined, roundTripMs: undefined };
      row = { clusterId, cluster, family, node, ...totals, ...answer };
      rows.set(key, row);
    }
    return row;
  }

  function sendOne(row: Row, atMs: number): void {
    row.sent += 1;
    const { clusterId } = row;
    if (isSilenced(network, row, atMs) || random() < lossOf(network, clusterId, atMs)) return;
    const roundTripMs =
      (roundTrips.get(clusterId) ?? 0) * (1 + 0.2 * random()) +
      largest(network, "slow", clusterId, atMs);
    if (isSilenced(network, row, atMs + roundTripMs)) return;
    row.pending.push({ atMs: atMs + roundTripMs, roundTripMs });
  }

  function receive(row: Row, atMs: number): void {
    row.due = row.sent;
    if (row.pending.length === 0) return;
    const arrived = row.pending.filter((answer) => answer.atMs <= atMs);
    row.pending = row.pending.filter((answer) => answer.atMs > atMs);
    for (const answer of arrived) {
      row.answered += 1;
      if (answer.atMs < (row.lastAnswerMs ?? 0)) continue;
      row.lastAnswerMs = answer.atMs;
      row.roundTripMs = answer.roundTripMs;
    }
  }

  /** Ten connects a round to each cluster that answers and is in use, three to each backend that refuses. */
  function connections(atMs: number): Pick<Observation, "heardRequests" | "passive" | "suspects"> {
    const heardRequests = new Map<number, number>();
    const suspects: BackendEvidence[] = [];
    const present = network.clusters.filter(({ id }) => !isGone(network, id, atMs));
    const passive = present.map(({ id, name, nodes }) => {
      const deaf = network.faults.some(
        (fault) =>
          ["cut", "uplink", "inbound", "refuse"].includes(fault.kind) &&
          (fault.clusterId ?? id) === id &&
          isOn(fault, atMs),
      );
      if (!deaf) heardRequests.set(id, atMs);
      const refused = isRefused(id, atMs);
      let failed = 0;
      if (refused) {
        const evidence = { clusterId: id, cluster: name, family: 4 as const, established: 0 };
        for (const [index, node] of nodes.entries()) {
          // Nobody connects to what is down.
          if (backendsDown.has(id * 100 + index)) continue;
          failed += 3;
          const news = { failures: 3, retransmissions: 0 };
          suspects.push({ backendId: id * 100 + index, node, ...evidence, ...news });
        }
      }
      const silent = isSilenced(network, { clusterId: id, family: 4, node: "" }, atMs);
      const established = silent || refused || unused.includes(id) ? 0 : 10;
      return {
        clusterId: id,
        connects: established + failed,
        established,
        failed,
        retransmissions: 0,
        aborted: 0,
      };
    });
    return { heardRequests, passive, suspects };
  }

  function isRefused(clusterId: number, atMs: number): boolean {
    return network.faults.some(
      (fault) =>
        (fault.kind === "refuse" || fault.kind === "services") &&
        fault.clusterId === clusterId &&
        isOn(fault, atMs),
    );
  }
}
