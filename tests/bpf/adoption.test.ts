// A new agent over a running datapath: it adopts maps with their rows and exchanges programs, and
// no client notices.
import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { openDatapath, openDatapathMaps, removeDatapath } from "../../bpf/datapath.ts";
import { ClusterHealth } from "../../bpf/gen/layout.ts";
import { eventually } from "../fakes/eventually.ts";
import { startClient, startServer, tally, type Client, type Server } from "./calls.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { HEALTHY_CLUSTER, putService } from "./service-rows.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const HOST = "10.96.0.1";
let scratch: Scratch;
let client: Client;
let east: Server;
let west: Server;

beforeEach(async () => {
  scratch = await createScratch();
  client = await startClient(scratch.cgroupPath);
  east = await startServer("east", "127.0.0.1");
  west = await startServer("west", "127.0.0.1");
});

afterEach(async () => {
  await client?.[Symbol.asyncDispose]();
  await east?.[Symbol.asyncDispose]();
  await west?.[Symbol.asyncDispose]();
  await scratch?.[Symbol.asyncDispose]();
});

const linkDirectory = (): string => join(scratch.bpfRoot, "links");

describe("openDatapath()", () => {
  test("adopts maps with their rows and sizes, and keeps one link a hook", () => {
    const maxEntries = new Map([["services", 100]]);
    using first = openDatapath({ ...scratch, maxEntries });
    putService(first.maps, { id: 7, host: HOST, port: 80, protocol: "tcp", groups: [] });
    first.close();
    const links = readdirSync(linkDirectory());
    using second = openDatapath(scratch);
    expect([...second.maps.services.entries()].map(([, { serviceId }]) => serviceId)).toEqual([7]);
    expect(second.maps.services.maxEntries).toBe(100);
    expect(readdirSync(linkDirectory())).toEqual(links);
    expect(links).toHaveLength(10);
  });

  test("exchanges the programs under running calls without a failure", async () => {
    using first = openDatapath(scratch);
    const groups = [{ clusterId: 1, backends: [east] }];
    putService(first.maps, { id: 7, host: HOST, port: 80, protocol: "tcp", groups });
    let running = true;
    const calls = (async () => {
      const counts: Record<string, number>[] = [];
      while (running)
        counts.push(tally(await client.call({ kind: "tcp", host: HOST, port: 80, times: 25 })));
      return counts;
    })();
    for (let i = 0; i < 5; i++) {
      using again = openDatapath(scratch);
      const translated = (): bigint => again.maps.counters.read().get("serviceTranslated") ?? 0n;
      const before = translated();
      await eventually(() => translated() > before);
    }
    running = false;
    const names = new Set((await calls).flatMap((counts) => Object.keys(counts)));
    expect(names).toEqual(new Set(["east"]));
  });

  test("moves the links to another cgroup", async () => {
    const elsewhere = `${scratch.cgroupPath}-elsewhere`;
    mkdirSync(elsewhere);
    try {
      const first = openDatapath({ ...scratch, cgroupPath: elsewhere });
      const groups = [{ clusterId: 1, backends: [east] }];
      putService(first.maps, { id: 7, host: "127.0.0.79", port: 80, protocol: "tcp", groups });
      first.close();
      const order = { kind: "tcp", host: "127.0.0.79", port: 80, times: 1 } as const;
      expect(tally(await client.call(order))).toEqual({ ECONNREFUSED: 1 });
      openDatapath(scratch).close();
      expect(tally(await client.call(order))).toEqual({ east: 1 });
      expect(readdirSync(linkDirectory())).toHaveLength(10);
    } finally {
      rmdirSync(elsewhere);
    }
  });

  test("replaces links whose cgroup is gone", async () => {
    const gone = `${scratch.cgroupPath}-gone`;
    mkdirSync(gone);
    openDatapath({ ...scratch, cgroupPath: gone }).close();
    rmdirSync(gone);
    using datapath = openDatapath(scratch);
    const groups = [{ clusterId: 1, backends: [east] }];
    putService(datapath.maps, { id: 7, host: HOST, port: 80, protocol: "tcp", groups });
    expect(tally(await client.call({ kind: "tcp", host: HOST, port: 80, times: 1 }))).toEqual({
      east: 1,
    });
  });

  test("says what is missing", () => {
    const missing = (changes: object): (() => void) => {
      return () => openDatapath({ ...scratch, ...changes }).close();
    };
    expect(missing({ overlayInterface: "no-such-device" })).toThrow(
      'Cannot find interface "no-such-device"',
    );
    expect(missing({ objectDirectory: "/nowhere" })).toThrow(/there is no such file/);
    expect(missing({ cgroupPath: `${scratch.cgroupPath}/nowhere` })).toThrow(
      /Cannot open cgroup ".*nowhere": ENOENT/,
    );
    expect(missing({ bpfRoot: "/tmp" })).toThrow('Cannot use "/tmp" as BPF root');
  });

  test("goes on while no process holds it", async () => {
    const datapath = openDatapath(scratch);
    const groups = [{ clusterId: 1, backends: [east] }];
    putService(datapath.maps, { id: 7, host: HOST, port: 80, protocol: "tcp", groups });
    datapath.close();
    expect(tally(await client.call({ kind: "tcp", host: HOST, port: 80, times: 5 }))).toEqual({
      east: 5,
    });
  });

  test("moves 10,000 services to another cluster with one map write", async () => {
    using datapath = openDatapath(scratch);
    const { maps } = datapath;
    const count = 10_000;
    for (let id = 1; id <= count; id++)
      putService(maps, {
        id,
        host: hostOf(id),
        port: 80,
        protocol: "tcp",
        groups: [
          { clusterId: 1, tier: 0, backends: [east] },
          { clusterId: 2, tier: 1, backends: [west] },
        ],
      });
    const some = Array.from({ length: 100 }, (_, i) => hostOf(1 + i * (count / 100)));
    const callAll = async (): Promise<Record<string, number>> => {
      const outcomes = [];
      for (const host of some)
        outcomes.push(...(await client.call({ kind: "tcp", host, port: 80, times: 1 })));
      return tally(outcomes);
    };
    expect(await callAll()).toEqual({ east: 100 });
    const writes = (): number =>
      [maps.services, maps.groups, maps.backendSlots, maps.backends, maps.clusterState]
        .map((map) => map.writes)
        .reduce((sum, one) => sum + one);
    const before = writes();
    maps.clusterState.put(1, { ...HEALTHY_CLUSTER, healthIpv4: ClusterHealth.down });
    expect(writes() - before).toBe(1);
    expect(await callAll()).toEqual({ west: 100 });
  });

  test("refuses a map of another layout", () => {
    openDatapath({ ...scratch }).close();
    // The slot map in place of the service map: what another version might have left.
    const maps = join(scratch.bpfRoot, "maps");
    renameSync(join(maps, "groups"), join(maps, "services"));
    expect(() => openDatapath(scratch)).toThrow(/Cannot use map "services"/);
  });
});

describe("maps of an older version", () => {
  const create = (name: string, words: string): void => {
    const path = join(scratch.bpfRoot, "maps", name);
    mkdirSync(join(scratch.bpfRoot, "maps"), { recursive: true });
    execFileSync("bpftool", ["map", "create", path, ...words.split(" "), "name", name]);
  };

  test("are refused by name, with both layouts, when rows have changed", () => {
    create("cluster_state", "type array key 4 value 16 entries 512");
    expect(() => openDatapath(scratch)).toThrow(
      'Cannot use map "cluster_state": its type/key size/value size is 2/4/16, want 2/4/24',
    );
  });

  test("are adopted when only names were added to what is counted", () => {
    create("drops", "type percpu_array key 4 value 8 entries 9");
    using datapath = openDatapath(scratch);
    const counts = datapath.maps.drops.read();
    expect([counts.get("notIp"), counts.get("faultInjected")]).toEqual([0n, 0n]);
  });
});

describe("removeDatapath()", () => {
  test("unpins everything and ends the translation", async () => {
    openDatapath(scratch).close();
    removeDatapath(scratch.bpfRoot);
    expect(readdirSync(scratch.bpfRoot)).toEqual([]);
    expect(() => openDatapathMaps(scratch.bpfRoot)).toThrow(/nothing is pinned there/);
    const { host, port } = east;
    expect(tally(await client.call({ kind: "tcp", host, port, times: 1 }))).toEqual({ east: 1 });
    removeDatapath(scratch.bpfRoot);
  });
});

function hostOf(id: number): string {
  return `10.${100 + (id >> 16)}.${(id >> 8) & 255}.${id & 255}`;
}
