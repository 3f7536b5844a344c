import { describe, expect, test } from "@jest/globals";
import type { ClusterIdentity } from "../../../../mesh/core/cluster.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createTable, type WritableTable } from "../../../../mesh/core/table.ts";
import { createMemoryStore, MemoryEtcd } from "../../../../mesh/kvstore/memory-store.ts";
import type { ConfiguredPeer } from "../../../../mesh/kvstore/records/peers.ts";
import type { SessionState, SessionStatus } from "../../../../mesh/kvstore/session.ts";
import type { OpenSession } from "../../../../agent/intent/cluster-session.ts";
import { createPeers, type Peers } from "../../../../agent/intent/peers.ts";
import {
  deletionOf,
  EAST,
  NORTH,
  ownClusterPuts,
  peerClusterPuts,
  WEST,
} from "../../../fakes/agent-cluster.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

/** A session that believes what the test says. */
interface TestSession {
  readonly states: ReturnType<typeof createTable<SessionState>>;
  config: ClusterIdentity | undefined;
  running: boolean;
}

interface Running extends AsyncDisposable {
  readonly etcd: MemoryEtcd;
  readonly configured: WritableTable<ConfiguredPeer>;
  readonly peers: Peers;
  readonly clock: FakeClock;
  /** By cluster, the latest. */
  readonly sessions: ReadonlyMap<string, TestSession>;
}

function start(): Running {
  const etcd = new MemoryEtcd();
  const clock = createFakeClock();
  const sessions = new Map<string, TestSession>();
  const open: OpenSession = ({ cluster }) => {
    const session: TestSession = {
      states: createTable<SessionState>({ name: "state" }),
      config: cluster,
      running: false,
    };
    sessions.set(cluster.name, session);
    const status = (): SessionStatus => ({
      cluster: cluster.name,
      state: { kind: "ready" },
      config: session.config,
      lastHeartbeatMs: 0,
      reconnections: 0,
      rejected: new Map(),
      records: new Map(),
    });
    return {
      states: session.states,
      status,
      drain: () => {},
      async run(signal) {
        session.running = true;
        await new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
        session.running = false;
      },
    };
  };
  const configured = createTable<ConfiguredPeer>({ name: "configured-peers" });
  const peers = createPeers({
    own: EAST,
    configured,
    store: createMemoryStore(etcd),
    open,
    clock,
    random: () => 0.5,
    log: silentLogger,
  });
  const end = new AbortController();
  const done = peers.run(end.signal);
  return {
    etcd,
    configured,
    peers,
    clock,
    sessions,
    async [Symbol.asyncDispose]() {
      end.abort();
      await clock.settle();
      await done;
    },
  };
}

const OWN = ownClusterPuts({ cluster: EAST }).slice(0, 1);
const configOf = (cluster: ClusterIdentity) => peerClusterPuts({ cluster }).slice(0, 1);

describe("createPeers()", () => {
  test("opens a session for each listed cluster but our own", async () => {
    await using running = start();
    const { etcd, peers, clock, sessions } = running;
    etcd.apply([...OWN, ...configOf(WEST), ...configOf(NORTH)]);
    await clock.advance(1_000);
    expect([...peers.table.entries()].map(([name]) => name).sort()).toEqual(["north", "west"]);
    expect(peers.table.synced).toBe(true);
    expect(sessions.get("west")?.running).toBe(true);
    expect(peers.table.get("west")?.cluster).toEqual(WEST);
  });

  test("knows no list before our own config is there", async () => {
    await using running = start();
    running.etcd.apply(configOf(WEST));
    await running.clock.advance(1_000);
    expect(running.peers.table.synced).toBe(false);
    running.etcd.apply(OWN);
    await running.clock.advance(1_000);
    expect(running.peers.table.synced).toBe(true);
  });

  test("keeps a cluster whose config is gone until its session believes it", async () => {
    await using running = start();
    const { etcd, peers, clock, sessions } = running;
    etcd.apply([...OWN, ...configOf(WEST)]);
    await clock.advance(1_000);
    etcd.apply(configOf(WEST).map(deletionOf));
    await clock.advance(1_000);
    expect(peers.status()).toMatchObject([{ listed: false }]);
    expect(peers.table.size).toBe(1);
    const session = sessions.get("west");
    if (session === undefined) throw new Error("no session");
    session.config = undefined;
    session.states.put("west", { kind: "syncing", waitingFor: "config" });
    await clock.settle();
    expect([peers.table.size, session.running]).toEqual([0, false]);
  });

  test("takes what another etcd does not list for frozen, and for listed when it is again", async () => {
    await using running = start();
    const { etcd, peers, clock } = running;
    etcd.apply([...OWN, ...configOf(WEST)]);
    await clock.advance(1_000);
    etcd.wipe();
    await clock.advance(30_000);
    expect(peers.status()).toMatchObject([{ listed: false }]);
    etcd.apply([...OWN, ...configOf(WEST)]);
    await clock.advance(30_000);
    expect(peers.status()).toMatchObject([{ listed: true }]);
  });

  test("lets a cluster go that an emptied etcd does not describe, once it is not configured", async () => {
    await using running = start();
    const { etcd, configured, peers, clock } = running;
    configured.put("west", { name: "west", id: WEST.id });
    configured.markSynced();
    etcd.apply([...OWN, ...configOf(WEST)]);
    await clock.advance(1_000);
    configured.delete("west");
    await clock.settle();
    expect(peers.table.size).toBe(1);
    configured.put("west", { name: "west", id: WEST.id });
    etcd.wipe();
    await clock.advance(30_000);
    etcd.apply(OWN);
    await clock.advance(30_000);
    expect(peers.table.size).toBe(1);
    configured.delete("west");
    await clock.settle();
    expect(peers.table.size).toBe(0);
  });

  test("takes another id for another cluster", async () => {
    await using running = start();
    const { etcd, peers, clock, sessions } = running;
    etcd.apply([...OWN, ...configOf(WEST)]);
    await clock.advance(1_000);
    const first = sessions.get("west");
    etcd.apply(configOf({ ...WEST, id: 9 }));
    await clock.advance(1_000);
    expect(first?.running).toBe(false);
    expect(peers.table.get("west")?.cluster.id).toBe(9);
  });

  const refusals: readonly [string, ClusterIdentity, string][] = [
    ["our own id", { ...WEST, id: EAST.id }, "it has our own cluster id 1"],
    [
      "another width",
      { ...WEST, maxConnectedClusters: 511 },
      "made for 511 clusters, ours for 255",
    ],
    ["another's id", { ...WEST, id: NORTH.id }, 'cluster "north" has its id 3'],
  ];
  for (const [what, cluster, reason] of refusals) {
    test(`refuses a cluster with ${what}, says so, and takes it when it is right`, async () => {
      await using running = start();
      const { etcd, peers, clock } = running;
      etcd.apply([...OWN, ...configOf(NORTH)]);
      await clock.advance(1_000);
      etcd.apply(configOf(cluster));
      await clock.advance(1_000);
      expect(peers.refused.get("west")).toContain(reason);
      expect(peers.table.get("west")).toBeUndefined();
      etcd.apply(configOf(WEST));
      await clock.advance(1_000);
      expect([peers.refused.size, peers.table.size]).toEqual([0, 2]);
    });
  }

  test("refuses garbage, and forgets it when it is gone", async () => {
    await using running = start();
    const { etcd, peers, clock } = running;
    const garbage = configOf(WEST).map(({ key }) => ({
      kind: "put" as const,
      key,
      value: Buffer.from("{"),
    }));
    etcd.apply([...OWN, ...garbage]);
    await clock.advance(1_000);
    expect([...peers.refused.keys()]).toEqual(["west"]);
    etcd.apply(garbage.map(deletionOf));
    await clock.advance(1_000);
    expect(peers.refused.size).toBe(0);
  });
});
