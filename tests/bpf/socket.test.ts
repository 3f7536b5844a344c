// Calls of a real client to real servers through the cgroup programs: what the client reaches,
// and what it is shown.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { openDatapath, type Datapath } from "../../bpf/datapath.ts";
import { startClient, startServer, tally, type Client, type Server } from "./calls.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { HEALTHY_CLUSTER, putService } from "./service-rows.ts";
import type { CallOrder } from "./socket-client.ts";

jest.setTimeout(SLOW_MACHINE_MS);

let scratch: Scratch;
let datapath: Datapath;
let client: Client;
let ipv4: Server;
let ipv6: Server;

beforeAll(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
  client = await startClient(scratch.cgroupPath);
  ipv4 = await startServer("four", "127.0.0.1");
  ipv6 = await startServer("six", "::1");
  let id = 1;
  for (const protocol of ["tcp", "udp"] as const) {
    for (const [host, server] of [
      ["10.96.0.1", ipv4],
      ["fd00:96::1", ipv6],
    ] as const)
      putService(datapath.maps, {
        id: id++,
        host,
        port: 80,
        protocol,
        groups: [{ clusterId: 1, backends: [server] }],
      });
  }
});

afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await ipv4?.[Symbol.asyncDispose]();
  await ipv6?.[Symbol.asyncDispose]();
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

const CASES: readonly (Omit<CallOrder, "port" | "times"> & { readonly answer: string })[] = [
  { kind: "tcp", host: "10.96.0.1", answer: "four" },
  { kind: "tcp", host: "fd00:96::1", answer: "six" },
  { kind: "tcp", host: "::ffff:10.96.0.1", answer: "four" },
  { kind: "udp", host: "10.96.0.1", answer: "four" },
  { kind: "udp", host: "fd00:96::1", answer: "six" },
  { kind: "udp", host: "::ffff:10.96.0.1", answer: "four" },
  { kind: "udp-connected", host: "10.96.0.1", answer: "four" },
  { kind: "udp-connected", host: "fd00:96::1", answer: "six" },
  { kind: "udp-connected", host: "::ffff:10.96.0.1", answer: "four" },
];

describe("socket programs", () => {
  for (const { kind, host, answer } of CASES) {
    test(`reach a backend and show the frontend: ${kind} to ${host}`, async () => {
      const before = datapath.maps.counters.read();
      const outcomes = await client.call({ kind, host, port: 80, times: 3 });
      expect(outcomes).toEqual(Array(3).fill({ answer, peer: `${host} 80` }));
      const after = datapath.maps.counters.read();
      expect(Number(after.get("serviceTranslated")) - Number(before.get("serviceTranslated"))).toBe(
        3,
      );
    });
  }

  test("leave calls to other addresses alone", async () => {
    const { host, port } = ipv4;
    for (const kind of ["tcp", "udp", "udp-connected"] as const)
      expect(await client.call({ kind, host, port, times: 1 })).toEqual([
        { answer: "four", peer: `${host} ${port}` },
      ]);
  });

  test("show what a UDP socket was connected to last", async () => {
    const service = { host: "10.96.0.1", port: 80 };
    const backend = { host: ipv4.host, port: ipv4.port };
    for (const [before, now] of [
      [service, backend],
      [backend, service],
    ] as const)
      expect(await client.call({ kind: "udp-connected", ...now, before, times: 1 })).toEqual([
        { answer: "four", peer: `${now.host} ${now.port}` },
      ]);
  });

  test("match the protocol of a frontend", async () => {
    putService(datapath.maps, {
      id: 20,
      host: "127.0.0.77",
      port: 81,
      protocol: "udp",
      groups: [{ clusterId: 1, backends: [ipv4] }],
    });
    const order = { host: "127.0.0.77", port: 81, times: 1 };
    expect(tally(await client.call({ ...order, kind: "udp" }))).toEqual({ four: 1 });
    // Nobody listens there on TCP, and the loopback says so.
    expect(tally(await client.call({ ...order, kind: "tcp" }))).toEqual({ ECONNREFUSED: 1 });
  });

  for (const kind of ["tcp", "udp", "udp-connected"] as const) {
    test(`refuse ${kind} at once and count it when no cluster can serve`, async () => {
      const host = "10.96.0.2";
      const protocol = kind === "tcp" ? "tcp" : "udp";
      putService(datapath.maps, { id: 21, host, port: 80, protocol, groups: [] });
      const before = datapath.maps.drops.read().get("noUsableCluster") ?? 0n;
      expect(await client.call({ kind, host, port: 80, times: 1 })).toEqual([
        { error: "ECONNREFUSED" },
      ]);
      expect(datapath.maps.drops.read().get("noUsableCluster")).toBe(before + 1n);
    });
  }

  test("refuse an IPv4 call to a service whose backend is IPv6", async () => {
    const host = "10.96.0.3";
    const groups = [{ clusterId: 1, backends: [ipv6] }];
    putService(datapath.maps, { id: 22, host, port: 80, protocol: "tcp", groups });
    expect(tally(await client.call({ kind: "tcp", host, port: 80, times: 1 }))).toEqual({
      ECONNREFUSED: 1,
    });
    expect(datapath.maps.drops.read().get("noBackend")).toBe(1n);
  });

  test("see a service disappear", async () => {
    const host = "127.0.0.78";
    const service = {
      id: 23,
      host,
      port: 82,
      protocol: "tcp",
      groups: [{ clusterId: 1, backends: [ipv4] }],
    } as const;
    putService(datapath.maps, service);
    const order = { kind: "tcp", host, port: 82, times: 1 } as const;
    expect(tally(await client.call(order))).toEqual({ four: 1 });
    datapath.maps.clusterState.put(1, HEALTHY_CLUSTER);
    const key = [...datapath.maps.services.entries()].find(([, { serviceId }]) => serviceId === 23);
    expect(key && datapath.maps.services.delete(key[0])).toBe(true);
    const refusedBefore = datapath.maps.counters.read().get("serviceRefused");
    expect(tally(await client.call(order))).toEqual({ ECONNREFUSED: 1 });
    expect(datapath.maps.counters.read().get("serviceRefused")).toBe(refusedBefore);
  });
});
