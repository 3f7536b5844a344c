// The agent's writes to the kernel's service maps under a reader that never rests, and adoption of
// a full set of maps.
import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { createTable } from "../../mesh/core/table.ts";
import { openDatapath, type Datapath, type DatapathMaps } from "../../bpf/datapath.ts";
import { ClusterHealth } from "../../bpf/gen/layout.ts";
import { setClusterState } from "../../agent/apply/cluster-state.ts";
import { serviceMapsFromDatapath } from "../../agent/apply/map-adapters.ts";
import { createServiceTarget } from "../../agent/apply/service-operations.ts";
import type { Frontend } from "../../agent/plan/plan-service.ts";
import { startClient, startServer, tally, type Client, type Server } from "./calls.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const never = new AbortController().signal;
const SERVICES = 10_000;
const CHANGES = 300;
const CALLS = 1_000;

let scratch: Scratch;
let datapath: Datapath;
let client: Client;
const servers: Server[] = [];

beforeEach(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
  client = await startClient(scratch.cgroupPath);
  for (const name of ["a", "b", "c", "d"]) servers.push(await startServer(name, "127.0.0.1"));
});

afterEach(async () => {
  await client?.[Symbol.asyncDispose]();
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

/** Each part is a cluster: its tier and which of the servers are its backends. */
function frontend(
  address: string,
  clusters: readonly { id: number; tier: number; backends: readonly Server[] }[],
): Frontend {
  return {
    key: `${address}:80/TCP`,
    service: `shop/${address}`,
    portName: "http",
    address,
    port: 80,
    protocol: "TCP",
    sessionAffinitySeconds: 0,
    groups: clusters
      .map(({ id, tier, backends }) => ({
        cluster: `c${id}`,
        clusterId: id,
        tier,
        weight: backends.length,
        backends: backends.map(({ host, port }) => ({ address: host, port })),
      }))
      .sort((a, b) => a.tier - b.tier || a.clusterId - b.clusterId),
  };
}

const updatesOf = (rows: readonly Frontend[]) =>
  rows.map((row) => ({ key: row.key, row, previous: undefined }));

function writesOf(maps: DatapathMaps): number {
  return [maps.services, maps.groups, maps.backendSlots, maps.backends, maps.clusterState]
    .map(({ writes }) => writes)
    .reduce((sum, one) => sum + one);
}

describe("createServiceTarget() on kernel maps", () => {
  test("fails no call while clusters and backends come, go and change places", async () => {
    const target = createServiceTarget(serviceMapsFromDatapath(datapath.maps));
    const address = "10.96.0.1";
    // Repeatable, and a mixture of everything: 1 to 3 clusters, tiers 0 and 1, 1 to 4 backends.
    const versionOf = (step: number): Frontend =>
      frontend(
        address,
        [1, 2, 3]
          .filter((id) => id === 1 + (step % 3) || (step * id) % 5 < 3)
          .map((id) => ({
            id,
            tier: (step + id) % 2,
            backends: servers.filter((_, i) => i === id || (step * (i + 2) + id) % 3 > 0),
          })),
      );
    await target.operations.update(updatesOf([versionOf(0)]), never);
    let made = 0;
    const failed: unknown[] = [];
    let running = true;
    const calls = (async () => {
      while (running) {
        const order = { kind: "tcp", host: address, port: 80, times: 20 } as const;
        const counts = tally(await client.call(order));
        made += 20;
        for (const [answer, count] of Object.entries(counts)) {
          if (!["a", "b", "c", "d"].includes(answer)) failed.push([answer, count]);
        }
      }
    })();
    let step = 0;
    while (step < CHANGES || made < CALLS) {
      await target.operations.update(updatesOf([versionOf(++step)]), never);
      // The servers answer in this process as well.
      await new Promise((resolve) => setImmediate(resolve));
    }
    running = false;
    await calls;
    expect(failed).toEqual([]);
  });

  test("fills 10,000 services, adopts them without a write, and fails them over with one", async () => {
    const [east, west] = servers;
    if (east === undefined || west === undefined) throw new Error("no servers");
    const addressOf = (i: number): string => `10.97.${i >> 8}.${i & 255}`;
    const rows = Array.from({ length: SERVICES }, (_, i) =>
      frontend(addressOf(i), [
        { id: 1, tier: 0, backends: [east] },
        { id: 2, tier: 1, backends: [west] },
      ]),
    );
    const desired = createTable<Frontend>({ name: "frontends" });
    for (const row of rows) desired.put(row.key, row);
    const maps = serviceMapsFromDatapath(datapath.maps);
    await createServiceTarget(maps).operations.update(updatesOf(rows), never);
    expect([...datapath.maps.services.entries()].length).toBe(SERVICES);

    const filled = writesOf(datapath.maps);
    const second = createServiceTarget(maps);
    await second.operations.update(updatesOf(rows), never);
    await second.operations.prune(desired, never);
    expect(writesOf(datapath.maps)).toBe(filled);

    const callSome = async (): Promise<Record<string, number>> => {
      const outcomes = [];
      for (let i = 0; i < SERVICES; i += SERVICES / 50)
        outcomes.push(
          ...(await client.call({ kind: "tcp", host: addressOf(i), port: 80, times: 1 })),
        );
      return tally(outcomes);
    };
    expect(await callSome()).toEqual({ a: 50 });
    setClusterState(datapath.maps.clusterState, { clusterId: 1, healthIpv4: ClusterHealth.down });
    expect(writesOf(datapath.maps)).toBe(filled + 1);
    expect(await callSome()).toEqual({ b: 50 });
  });
});
