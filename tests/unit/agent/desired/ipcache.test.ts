import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClusterIdentity } from "../../../../mesh/core/cluster.ts";
import { createTable, type Table } from "../../../../mesh/core/table.ts";
import type { CidrRow } from "../../../../agent/policy/engine.ts";
import { createIpcachePlanner, type IpcachePlanner } from "../../../../agent/desired/ipcache.ts";
import { EAST, NORTH, testEndpoint, testNode, WEST } from "../../../fakes/agent-cluster.ts";
import {
  createTestIntent,
  createTestPeer,
  type WritableIntent,
} from "../../../fakes/agent-intent.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

interface Running extends AsyncDisposable {
  readonly intent: WritableIntent;
  readonly planner: IpcachePlanner;
  readonly clock: FakeClock;
}

const OWN_NODE = testNode(EAST, {
  name: "east-1",
  addresses: ["172.16.1.1"],
  podPrefixes: ["10.1.1.0/24"],
});

function start(cidrRows?: Table<CidrRow>): Running {
  const clock = createFakeClock();
  const intent = createTestIntent(EAST);
  const planner = createIpcachePlanner({ intent, nodeName: "east-1", cidrRows, clock });
  const end = new AbortController();
  const done = planner.run(end.signal);
  return {
    intent,
    planner,
    clock,
    async [Symbol.asyncDispose]() {
      end.abort();
      await clock.settle();
      await done;
    },
  };
}

function rowsOf({ planner }: Running): Record<string, string> {
  return Object.fromEntries(
    [...planner.desired.entries()].map(([key, { clusterId, tunnelEndpoint }]) => [
      key,
      `${clusterId}@${tunnelEndpoint}`,
    ]),
  );
}

describe("createIpcachePlanner()", () => {
  test("gives prefixes of policies their numbers, but not within pods of a node", async () => {
    const cidrRows = createTable<CidrRow>({ name: "cidr-rows" });
    await using running = start(cidrRows);
    const { intent, clock, planner } = running;
    intent.peers.markSynced();
    intent.own.nodes.put("east-1", OWN_NODE);
    const west = createTestPeer(WEST);
    intent.peers.put(WEST.name, west);
    for (const [i, prefix] of ["198.51.100.0/24", "10.2.1.5/32", "10.1.1.9/32"].entries()) {
      cidrRows.put(prefix, { prefix, identity: 16_777_216 + i });
    }
    await clock.settle();
    const shown = (prefix: string) => {
      const { identity, tunnelEndpoint, clusterId } = planner.desired.get(prefix) ?? {};
      return [identity, tunnelEndpoint, clusterId];
    };
    expect(shown("198.51.100.0/24")).toEqual([16_777_216, "", 0]);
    expect(shown("10.2.1.5/32")).toEqual([16_777_217, "", 0]);
    expect(shown("10.1.1.9/32")).toEqual([3, "", EAST.id]);
    west.nodes.put(
      "west-1",
      testNode(WEST, {
        name: "west-1",
        addresses: ["172.16.2.1"],
        podPrefixes: ["10.2.1.0/24"],
      }),
    );
    await clock.settle();
    expect(shown("10.2.1.5/32")).toEqual([3, "172.16.2.1", WEST.id]);
    intent.peers.delete(WEST.name);
    await clock.settle();
    expect(shown("10.2.1.5/32")).toEqual([16_777_217, "", 0]);
    cidrRows.delete("10.2.1.5/32");
    await clock.settle();
    expect(planner.desired.get("10.2.1.5/32")).toBeUndefined();
  });

  test("plans nothing before it knows its own node: it could not tell what is local", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    intent.peers.markSynced();
    intent.own.endpoints.put(
      "10.1.1.5",
      testEndpoint(EAST, { ip: "10.1.1.5", hostIp: "172.16.1.1" }),
    );
    intent.own.markSynced();
    await clock.settle();
    expect([planner.desired.size, planner.desired.synced]).toEqual([0, false]);
    intent.own.nodes.put("east-1", OWN_NODE);
    await clock.settle();
    expect(rowsOf(running)["10.1.1.5/32"]).toBe("1@");
    expect(planner.desired.synced).toBe(true);
  });

  test("plans our endpoints again when our node's addresses change", async () => {
    await using running = start();
    const { intent, clock } = running;
    intent.peers.markSynced();
    intent.own.nodes.put("east-1", OWN_NODE);
    intent.own.endpoints.put(
      "10.1.1.5",
      testEndpoint(EAST, { ip: "10.1.1.5", hostIp: "172.16.1.9" }),
    );
    await clock.settle();
    expect(rowsOf(running)["10.1.1.5/32"]).toBe("1@172.16.1.9");
    intent.own.nodes.put("east-1", {
      ...OWN_NODE,
      addresses: [{ type: "InternalIP", ip: "172.16.1.9" }],
    });
    await clock.settle();
    expect(rowsOf(running)["10.1.1.5/32"]).toBe("1@");
  });

  test("keeps what it knows of its node when that is no longer exported", async () => {
    await using running = start();
    const { intent, clock } = running;
    intent.peers.markSynced();
    intent.own.nodes.put("east-1", OWN_NODE);
    await clock.settle();
    intent.own.nodes.delete("east-1");
    intent.own.endpoints.put(
      "10.1.1.5",
      testEndpoint(EAST, { ip: "10.1.1.5", hostIp: "172.16.1.1" }),
    );
    await clock.settle();
    expect(rowsOf(running)["10.1.1.5/32"]).toBe("1@");
  });

  test("lets no peer take an address of ours", async () => {
    await using running = start();
    const { intent, clock, planner } = running;
    const west = createTestPeer(WEST);
    west.endpoints.put("10.1.1.5", testEndpoint(WEST, { ip: "10.1.1.5", hostIp: "172.16.2.1" }));
    intent.peers.put("west", west);
    intent.peers.markSynced();
    intent.own.nodes.put("east-1", OWN_NODE);
    intent.own.endpoints.put(
      "10.1.1.5",
      testEndpoint(EAST, { ip: "10.1.1.5", hostIp: "172.16.1.1" }),
    );
    await clock.settle();
    expect(rowsOf(running)["10.1.1.5/32"]).toBe("1@");
    expect(planner.contested()).toBe(1);
  });

  const change = fc.record({
    cluster: fc.constantFrom<ClusterIdentity>(EAST, WEST, NORTH),
    number: fc.integer({ min: 1, max: 4 }),
    // The same address in every cluster, so that they quarrel.
    what: fc.constantFrom("put", "delete", "node", "node-delete", "connect", "disconnect"),
  });

  test("planning change by change ends as planning everything at once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 25 }), async (changes) => {
        await using running = start();
        const { intent, clock } = running;
        const peers = new Map([WEST, NORTH].map((id) => [id.name, createTestPeer(id)]));
        intent.peers.markSynced();
        intent.own.nodes.put("east-1", OWN_NODE);
        for (const { cluster, number, what } of changes) {
          const peer = peers.get(cluster.name);
          const tables = peer ?? intent.own;
          const ip = `10.9.0.${number}`;
          if (what === "put") {
            const hostIp = `172.16.${cluster.id}.1`;
            tables.endpoints.put(ip, testEndpoint(cluster, { ip, hostIp }));
          } else if (what === "delete") tables.endpoints.delete(ip);
          else if (what === "node") {
            const name = `n${number}`;
            const node = testNode(cluster, {
              name,
              addresses: [`172.16.0.${number}`],
              podPrefixes: [`10.9.${number}.0/24`],
            });
            tables.nodes.put(name, node);
          } else if (what === "node-delete") tables.nodes.delete(`n${number}`);
          else if (peer !== undefined && what === "connect") intent.peers.put(cluster.name, peer);
          else if (peer !== undefined) intent.peers.delete(cluster.name);
          if (number === 1) await clock.settle();
        }
        await clock.settle();
        await using fresh = start();
        fresh.intent.peers.markSynced();
        for (const [key, node] of intent.own.nodes.entries()) fresh.intent.own.nodes.put(key, node);
        for (const [key, endpoint] of intent.own.endpoints.entries()) {
          fresh.intent.own.endpoints.put(key, endpoint);
        }
        for (const [key, peer] of intent.peers.entries()) fresh.intent.peers.put(key, peer);
        await fresh.clock.settle();
        expect(rowsOf(running)).toEqual(rowsOf(fresh));
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
