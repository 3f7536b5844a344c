// The whole of a node's health on maps in memory: a kernel that answers by writing rows, as
// from_overlay does, and a clock that the test moves.
import { describe, expect, test } from "@jest/globals";
import { DEFAULT_HEALTH } from "../../../../agent/config.ts";
import { systemRandom } from "../../../../mesh/core/backoff.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { MeshNode } from "../../../../mesh/core/node.ts";
import { ClusterHealth } from "../../../../bpf/gen/layout.ts";
import {
  backendEvidenceMap,
  backendsMap,
  clusterEvidenceMap,
  clusterStateMap,
  probeRequestsMap,
  probesMap,
} from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createServiceTarget } from "../../../../agent/apply/service-operations.ts";
import { serviceMapsFromDatapath } from "../../../../agent/apply/map-adapters.ts";
import { NEVER_WRITTEN } from "../../../../agent/apply/cluster-state.ts";
import { createServicePlanner } from "../../../../agent/desired/services.ts";
import type { ResetOutcome } from "../../../../agent/flows/flow-reset.ts";
import { createNodeHealth } from "../../../../agent/health/node-health.ts";
import { EAST, NORTH, WEST } from "../../../fakes/agent-cluster.ts";
import { createTestIntent, createTestPeer } from "../../../fakes/agent-intent.ts";
import { createMemoryMaps } from "../../../fakes/agent-node.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const { healthy, down } = ClusterHealth;
const NOTHING_RESET: ResetOutcome = { reset: 0, problems: [], ms: 0 };

function node(cluster: typeof EAST, name: string): MeshNode {
  const number = `${cluster.id}.${name.at(-1)}`;
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    name,
    addresses: [{ type: "InternalIP", ip: `172.16.${number}` }],
    podPrefixes: [`10.${number}.0/24`],
    encryptionKey: 0,
    wireguardPublicKey: "",
    bootId: "",
    labels: new Map(),
    annotations: new Map(),
  };
}

function start(options: { enabled?: boolean; westBefore?: ClusterHealth } = {}) {
  const clock = createFakeClock();
  const intent = createTestIntent(EAST);
  for (const name of ["east-1", "east-2"]) intent.own.nodes.put(name, node(EAST, name));
  for (const cluster of [WEST, NORTH]) {
    const peer = createTestPeer(cluster);
    for (const number of [1, 2]) {
      const name = `${cluster.name}-${number}`;
      peer.nodes.put(name, node(cluster, name));
    }
    intent.peers.put(cluster.name, peer);
  }
  const maps = {
    ...createMemoryMaps(),
    backends: createMemoryMap(backendsMap),
    probes: createMemoryMap(probesMap, { maxEntries: 64 }),
    probeRequests: createMemoryMap(probeRequestsMap),
    clusterEvidence: createMemoryMap(clusterEvidenceMap),
    backendEvidence: createMemoryMap(backendEvidenceMap),
    clusterState: createMemoryMap(clusterStateMap),
  };
  if (options.westBefore !== undefined) {
    maps.clusterState.put(WEST.id, { ...NEVER_WRITTEN, healthIpv4: options.westBefore });
  }
  /** Prefixes of addresses that answer nothing. */
  const silent = new Set<string>();
  const sent: string[] = [];
  const resets: number[] = [];
  const events: string[] = [];
  /** Time that passes while nothing of ours runs. */
  const paused = { ms: 0 };
  const kernelNowNs = (): bigint =>
    BigInt(Math.round((1_000 + paused.ms + clock.monotonicMs()) * 1e6));
  const target = createServiceTarget(serviceMapsFromDatapath(maps));
  const { health } = createNodeHealth({
    settings: { ...DEFAULT_HEALTH, enabled: options.enabled ?? true },
    cluster: EAST,
    nodeName: "east-1",
    agent: {
      intent,
      serviceState: target.state,
      services: createServicePlanner({ intent, held: target.held, clock }),
    },
    maps,
    openSocket: () => ({
      send(requests, { sentNs }) {
        for (const { address, target: index, sequence, cookie } of requests) {
          sent.push(address);
          const row = maps.probes.get(index);
          if (row?.cookie !== cookie || [...silent].some((part) => address.startsWith(part)))
            continue;
          maps.probes.put(index, {
            ...row,
            replies: row.replies + 1n,
            lastReplyNs: sentNs + 400_000n,
            roundTripNs: 400_000n,
            lastSequence: sequence,
          });
        }
      },
      close: () => {},
    }),
    flows: {
      resetCluster({ clusterId }) {
        resets.push(clusterId);
        return Promise.resolve(NOTHING_RESET);
      },
      resetBackends: () => Promise.resolve(NOTHING_RESET),
    },
    events: { emit: ({ subject, to }) => void events.push(`${subject} ${to}`) },
    newCookie: () => BigInt(Math.ceil(systemRandom() * 2 ** 32)),
    clock,
    kernelNowNs,
    log: silentLogger,
  });
  const end = new AbortController();
  const done = health?.run(end.signal);
  return {
    clock,
    maps,
    paused,
    silent,
    sent,
    resets,
    events,
    health,
    row: (clusterId: number) => maps.clusterState.get(clusterId)?.healthIpv4,
    async [Symbol.asyncDispose]() {
      end.abort();
      await clock.settle();
      await done;
    },
  };
}

describe("createNodeHealth()", () => {
  test("probes nodes of the other clusters and our own, and finds them healthy", async () => {
    await using running = start();
    await running.clock.advance(1_000);
    expect(new Set(running.sent)).toEqual(
      new Set(["10.1.2.1", "10.2.1.1", "10.2.2.1", "10.3.1.1", "10.3.2.1"]),
    );
    const status = running.health?.status();
    expect(status?.view.clusters.map(({ state }) => state)).toEqual(["healthy", "healthy"]);
    expect(status?.since.get("west/4")?.transition.to).toBe("healthy");
    expect([running.row(WEST.id), running.row(NORTH.id)]).toEqual([healthy, healthy]);
  });

  test("takes a silent cluster out within a second, ends its flows, and tells how", async () => {
    await using running = start();
    await running.clock.advance(1_000);
    running.silent.add("10.2.");
    await running.clock.advance(1_000);
    expect([running.row(WEST.id), running.row(NORTH.id)]).toEqual([down, healthy]);
    expect(running.resets).toEqual([WEST.id]);
    expect(running.events).toContain("west down");
    expect(running.health?.timeline.since(0).map(({ what }) => what)).toEqual(
      expect.arrayContaining(["suspect", "detected", "decided", "applied", "flows-reset"]),
    );
    running.silent.clear();
    await running.clock.advance(20_000);
    expect(running.row(WEST.id)).toBe(healthy);
  });

  test("takes a cluster that refuses out between two rounds", async () => {
    await using running = start();
    const none = { connects: 0n, established: 0n, failed: 0n, retransmissions: 0n, aborted: 0n };
    running.maps.clusterEvidence.put(WEST.id, none);
    await running.clock.advance(1_050);
    running.silent.add("10.2.");
    running.maps.clusterEvidence.put(WEST.id, { ...none, connects: 6n, failed: 6n });
    // The next round sees the failures and asks; a quarter of a round later nobody has answered.
    await running.clock.advance(70);
    expect([running.row(WEST.id), running.health?.status().rounds]).toEqual([healthy, 12]);
    await running.clock.advance(10);
    expect([running.row(WEST.id), running.health?.status().rounds]).toEqual([down, 12]);
    expect(running.resets).toEqual([WEST.id]);
    // Looks cost no rounds: the next one comes when it would have come.
    await running.clock.advance(1_000);
    expect(running.health?.status().rounds).toBe(22);
  });

  test("leaves what was down before it began as it was, until it answers", async () => {
    await using running = start({ westBefore: down });
    running.silent.add("10.2.");
    await running.clock.advance(2_000);
    expect(running.row(WEST.id)).toBe(down);
    running.silent.clear();
    await running.clock.advance(20_000);
    expect(running.row(WEST.id)).toBe(healthy);
  });

  test("holds a pause of its own against nobody", async () => {
    await using running = start();
    await running.clock.advance(1_000);
    // As after SIGSTOP: nothing was sent, and the next round comes three seconds late.
    const events = running.events.length;
    running.paused.ms += 3_000;
    await running.clock.advance(1_000);
    expect(running.health?.status().blindRounds).toBe(1);
    expect(running.row(WEST.id)).toBe(healthy);
    expect(running.events.slice(events)).toEqual([]);
  });

  test("declares nobody down when nobody answers", async () => {
    await using running = start();
    await running.clock.advance(1_000);
    running.silent.add("10.");
    await running.clock.advance(2_000);
    expect(running.row(WEST.id)).toBe(ClusterHealth.lastResort);
    expect(running.resets).toEqual([]);
    expect(running.events).toContain("uplink isolated");
  });

  test("holds nothing against anybody when it is switched off", async () => {
    await using running = start({ enabled: false, westBefore: down });
    expect(running.health).toBeUndefined();
    expect(running.row(WEST.id)).toBe(healthy);
  });
});
