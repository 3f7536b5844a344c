import { describe, expect, test } from "@jest/globals";
import { createAttention, type Closeness } from "../../../../agent/health/attention.ts";
import type {
  ClusterView,
  HealthState,
  HealthView,
  ProbedTarget,
} from "../../../../agent/health/observation.ts";

const INTERVAL_MS = 100;

function viewOf(states: Readonly<Record<number, HealthState>>): HealthView {
  const clusters = Object.entries(states).map(([id, state]): ClusterView => ({
    clusterId: Number(id),
    cluster: `cluster-${id}`,
    family: 4,
    state,
    reason: undefined,
    heldBackPercent: 0,
    lossPercent: 0,
    roundTripMs: 1,
    usualRoundTripMs: 1,
  }));
  return { clusters, nodesDown: [], backendsDown: [], isolated: false, probeAlso: [] };
}

/** Clusters 2 and 3 with a node each, which is asked whenever a test says so. */
function start(options: { roundTripMs?: number; view?: HealthView } = {}) {
  const attention = createAttention({ intervalMs: INTERVAL_MS });
  const totals = new Map([2, 3].map((id) => [id, { sent: 0, answered: 0 }]));
  let atMs = 0;
  let view = options.view ?? viewOf({ 2: "healthy", 3: "healthy" });
  const round = (
    now: { sent?: number[]; answered?: number[]; used?: number[]; blind?: boolean } = {},
  ): Closeness => {
    atMs += INTERVAL_MS;
    for (const id of now.sent ?? []) (totals.get(id) ?? { sent: 0 }).sent++;
    for (const id of now.answered ?? []) (totals.get(id) ?? { answered: 0 }).answered++;
    const targets = [...totals].map(([clusterId, { sent, answered }]): ProbedTarget => ({
      clusterId,
      cluster: `cluster-${clusterId}`,
      family: 4,
      node: "node-1",
      sent,
      answered,
      lastAnswerMs: answered === 0 ? undefined : atMs,
      roundTripMs: answered === 0 ? undefined : (options.roundTripMs ?? 1),
    }));
    const passive = (now.used ?? []).map((clusterId) => ({
      clusterId,
      connects: 1,
      established: 1,
      failed: 0,
      retransmissions: 0,
      aborted: 0,
    }));
    const heardRequests = new Map<number, number>();
    const blind = now.blind ?? false;
    return attention.look({ atMs, blind, targets, heardRequests, passive, suspects: [] }, view);
  };
  const both = { sent: [2, 3], answered: [2, 3] };
  round(both);
  round(both);
  return { round, both, see: (now: HealthView) => (view = now) };
}

describe("createAttention()", () => {
  test("is calm while everybody answers, also those who are not asked in a round", () => {
    const { round, both } = start();
    for (let i = 0; i < 20; i++) {
      expect(round(i % 5 === 0 ? both : { sent: [2], answered: [2] }).isAlert).toBe(false);
    }
  });

  test("is alert from the round in which an answer is missing, and a second after the last one", () => {
    const { round, both } = start();
    expect(round({ sent: [2, 3], answered: [2] }).isAlert).toBe(true);
    for (let i = 0; i < 9; i++) expect(round(both).isAlert).toBe(true);
    expect(round(both).isAlert).toBe(false);
  });

  test("stays alert while somebody is silent who is not asked again", () => {
    const { round } = start();
    round({ sent: [2, 3], answered: [2] });
    for (let i = 0; i < 30; i++) expect(round({ sent: [2], answered: [2] }).isAlert).toBe(true);
  });

  test("gives an answer from far away its time", () => {
    const { round } = start({ roundTripMs: 150 });
    expect(round({ sent: [2, 3], answered: [2] }).isAlert).toBe(false);
    expect(round({ answered: [3] }).isAlert).toBe(false);
    expect(round({ sent: [3] }).isAlert).toBe(false);
    expect(round().isAlert).toBe(true);
  });

  test("expects nothing of what is down, or was never heard", () => {
    const silent = start({ view: viewOf({ 2: "healthy", 3: "down" }) });
    expect(silent.round({ sent: [2, 3], answered: [2] }).isAlert).toBe(false);
    const node = { clusterId: 3, cluster: "cluster-3", family: 4 as const, node: "node-1" };
    silent.see({ ...viewOf({ 2: "healthy", 3: "healthy" }), nodesDown: [node] });
    expect(silent.round({ sent: [2, 3], answered: [2] }).isAlert).toBe(false);
    const attention = createAttention({ intervalMs: INTERVAL_MS });
    const target = { clusterId: 2, cluster: "two", family: 4 as const, node: "n", answered: 0 };
    for (let sent = 1; sent < 5; sent++) {
      const row = { ...target, sent, lastAnswerMs: undefined, roundTripMs: undefined };
      const observation = { atMs: sent * 100, blind: false, targets: [row] };
      const nothing = { heardRequests: new Map(), passive: [], suspects: [] };
      const { isAlert } = attention.look({ ...observation, ...nothing }, viewOf({ 2: "unknown" }));
      expect(isAlert).toBe(false);
    }
  });

  test("concludes nothing from a round that came late", () => {
    const { round, both } = start();
    expect(round({ sent: [2, 3], answered: [2], blind: true }).isAlert).toBe(false);
    expect(round(both).isAlert).toBe(false);
  });

  test("is alert while this node is cut off", () => {
    const { round, both, see } = start();
    see({ ...viewOf({ 2: "healthy", 3: "healthy" }), isolated: true });
    expect(round(both).isAlert).toBe(true);
  });

  test("watches what is in use, for a minute after the last connection", () => {
    const { round, both } = start();
    expect([...round(both).watched]).toEqual([]);
    const { watched } = round({ ...both, used: [3] });
    expect([...watched]).toEqual([3]);
    for (let i = 0; i < 600; i++) expect(round(both).watched).toBe(watched);
    expect([...round(both).watched]).toEqual([]);
  });

  test("watches what is not known to be well", () => {
    const { round, both, see } = start();
    for (const state of ["unknown", "suspect", "down", "recovering"] as const) {
      see(viewOf({ 2: "healthy", 3: state }));
      expect([...round(both).watched]).toEqual([3]);
    }
  });
});
