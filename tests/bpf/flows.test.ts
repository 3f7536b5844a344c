// What the kernel notes of connections to backends: rows in `flows` that come and go with sockets,
// and evidence of what went wrong, told apart by how it went wrong.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { addressFromBytes } from "../../mesh/core/address.ts";
import { openDatapath, type Datapath } from "../../bpf/datapath.ts";
import {
  FlowState,
  IpProtocol,
  type BackendEvidence,
  type ClusterEvidence,
  type Flow,
} from "../../bpf/gen/layout.ts";
import { startBlackHoles } from "../fakes/black-holes.ts";
import { eventually } from "../fakes/eventually.ts";
import { startClient, startServer, tally, type Client, type Server } from "./calls.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { backendIdOf, HEALTHY_CLUSTER, putService } from "./service-rows.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const CLUSTER = 4;
const PORT = 80;

let scratch: Scratch;
let datapath: Datapath;
let client: Client;
let server: Server;
let holder: Holder;
let nextId = 1;

beforeAll(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
  client = await startClient(scratch.cgroupPath);
  server = await startServer("server", "127.0.0.1");
  holder = await startHolder();
  datapath.maps.clusterState.put(CLUSTER, HEALTHY_CLUSTER);
});

afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await holder?.close();
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

/** A service of its own for each backend; returns the frontend's address. */
function serve(backend: { host: string; port: number }, protocol: "tcp" | "udp" = "tcp"): string {
  const id = nextId++;
  const host = `10.96.1.${id}`;
  putService(datapath.maps, {
    id,
    host,
    port: PORT,
    protocol,
    groups: [{ clusterId: CLUSTER, backends: [backend] }],
  });
  return host;
}

function flows(): Flow[] {
  return [...datapath.maps.flows.entries()].map(([, flow]) => flow);
}

function clusterEvidence(): ClusterEvidence {
  const evidence = datapath.maps.clusterEvidence.get(CLUSTER);
  if (evidence === undefined) throw new Error("the array has no such row");
  return evidence;
}

/** What was added since `before`. */
function evidenceSince(before: ClusterEvidence): Record<string, bigint> {
  const after = clusterEvidence();
  return {
    connects: after.connects - before.connects,
    established: after.established - before.established,
    failed: after.failed - before.failed,
    aborted: after.aborted - before.aborted,
  };
}

function backendEvidence(backend: { host: string; port: number }): BackendEvidence | undefined {
  return datapath.maps.backendEvidence.get({ backendId: backendIdOf(backend, "tcp") });
}

describe("flows", () => {
  test("hold a connection for as long as it lives", async () => {
    const backend = { host: "127.0.0.1", port: holder.port };
    const started = process.hrtime.bigint();
    const call = client.call({ kind: "tcp", host: serve(backend), port: PORT, times: 1 });
    await eventually(() => holder.sockets.size === 1);
    await eventually(() => flows()[0]?.state === FlowState.established);
    const [flow] = flows();
    expect(flow).toMatchObject({
      serviceId: nextId - 1,
      backendId: backendIdOf(backend, "tcp"),
      clusterId: CLUSTER,
      protocol: IpProtocol.tcp,
      port: holder.port,
    });
    expect(addressFromBytes(flow?.address.subarray(12) ?? new Uint8Array()).text).toBe("127.0.0.1");
    expect(flow?.startedNs).toBeGreaterThanOrEqual(started);
    expect(flow?.netnsCookie).toBeGreaterThan(0n);
    for (const socket of holder.sockets) socket.end("bye");
    expect(tally(await call)).toEqual({ bye: 1 });
    await eventually(() => flows().length === 0);
    expect([...datapath.maps.reverseNat.entries()]).toEqual([]);
  });

  test("hold a connected UDP socket until it is closed, and no other", async () => {
    const silent = serve({ host: "127.0.0.1", port: holder.port }, "udp");
    // The socket is refused by ICMP when its datagram comes, and closed.
    const outcome = await client.call({
      kind: "udp-connected",
      host: silent,
      port: PORT,
      times: 1,
    });
    expect(tally(outcome)).toEqual({ ECONNREFUSED: 1 });
    await eventually(() => flows().length === 0);
    const host = serve(server, "udp");
    const connected = client.call({ kind: "udp-connected", host, port: PORT, times: 200 });
    await eventually(() => flows().some(({ protocol }) => protocol === IpProtocol.udp));
    expect(tally(await connected)).toEqual({ server: 200 });
    await eventually(() => flows().length === 0);
    expect(tally(await client.call({ kind: "udp", host, port: PORT, times: 3 }))).toEqual({
      server: 3,
    });
    expect(flows()).toEqual([]);
  });

  test("know nothing of connections past services", async () => {
    const before = clusterEvidence();
    const { host, port } = server;
    expect(tally(await client.call({ kind: "tcp", host, port, times: 5 }))).toEqual({ server: 5 });
    expect(evidenceSince(before)).toMatchObject({ connects: 0n, established: 0n });
    expect(flows()).toEqual([]);
  });
});

describe("evidence", () => {
  test("of connections that go well is no more than their number", async () => {
    const before = clusterEvidence();
    await client.call({ kind: "tcp", host: serve(server), port: PORT, times: 10 });
    await eventually(() => flows().length === 0);
    expect(evidenceSince(before)).toEqual({
      connects: 10n,
      established: 10n,
      failed: 0n,
      aborted: 0n,
    });
    expect(backendEvidence(server)).toBeUndefined();
  });

  test("of refused connections is taken back by the first that succeeds", async () => {
    const reserved = createServer().listen(0, "127.0.0.1");
    await once(reserved, "listening");
    const { port } = reserved.address() as AddressInfo;
    reserved.close();
    await once(reserved, "close");
    const backend = { host: "127.0.0.1", port };
    const host = serve(backend);
    const before = clusterEvidence();
    const started = process.hrtime.bigint();
    const refused = await client.call({ kind: "tcp", host, port: PORT, times: 3 });
    expect(tally(refused)).toEqual({ ECONNREFUSED: 3 });
    expect(evidenceSince(before)).toMatchObject({ connects: 3n, established: 0n, failed: 3n });
    expect(flows()).toEqual([]);
    const bad = backendEvidence(backend);
    expect(bad).toMatchObject({ failures: 3, retransmissions: 0, lastSuccessNs: 0n });
    expect(bad?.firstFailureNs).toBeGreaterThanOrEqual(started);
    expect(bad?.lastFailureNs).toBeGreaterThan(bad?.firstFailureNs ?? 0n);
    const back = createServer((socket) => socket.end("back")).listen(port, "127.0.0.1");
    await once(back, "listening");
    const call = await client.call({ kind: "tcp", host, port: PORT, times: 1 });
    expect(tally(call)).toEqual({ back: 1 });
    const good = backendEvidence(backend);
    expect(good).toMatchObject({ failures: 0, retransmissions: 0 });
    expect(good?.lastSuccessNs).toBeGreaterThan(bad?.lastFailureNs ?? 0n);
    back.close();
    await once(back, "close");
  });

  test("of a black hole is segments that are sent again, while the flow still connects", async () => {
    const blackHole = await startBlackHoles(1);
    const patient = await startClient(scratch.cgroupPath);
    const before = clusterEvidence();
    try {
      const backend = { host: "127.0.0.1", port: blackHole.ports[0] ?? 0 };
      const order = { kind: "tcp", host: serve(backend), port: PORT, times: 1 } as const;
      patient.call(order).catch(() => {}); // It is killed before it can say anything.
      await eventually(() => clusterEvidence().retransmissions > before.retransmissions);
      await eventually(() => (backendEvidence(backend)?.retransmissions ?? 0) > 0);
      expect(flows()).toMatchObject([{ state: FlowState.connecting, clusterId: CLUSTER }]);
      expect(backendEvidence(backend)?.failures).toBe(0);
    } finally {
      process.kill(patient.pid, "SIGKILL");
      await patient[Symbol.asyncDispose]();
      await blackHole.close();
    }
    await eventually(() => flows().length === 0);
    expect(evidenceSince(before)).toMatchObject({ connects: 1n, established: 0n, failed: 1n });
  });

  test("of a connection that is reset says that it was aborted", async () => {
    const before = clusterEvidence();
    const host = serve({ host: "127.0.0.1", port: holder.port });
    const call = client.call({ kind: "tcp", host, port: PORT, times: 1 });
    await eventually(() => holder.sockets.size === 1);
    for (const socket of holder.sockets) socket.resetAndDestroy();
    expect(tally(await call)).toEqual({ ECONNRESET: 1 });
    await eventually(() => flows().length === 0);
    expect(evidenceSince(before)).toEqual({
      connects: 1n,
      established: 1n,
      failed: 0n,
      aborted: 1n,
    });
  });
});

/** Takes connections and says nothing: what becomes of them is the test's affair. */
interface Holder {
  readonly port: number;
  /** Those that are open. */
  readonly sockets: ReadonlySet<Socket>;
  close(): Promise<void>;
}

async function startHolder(): Promise<Holder> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // Resets are what some tests are about.
    socket.on("close", () => sockets.delete(socket));
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}
