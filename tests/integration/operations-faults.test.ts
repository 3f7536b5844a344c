// An operations plane that fails in the ways that servers and networks do: killed under load,
// silent, out of descriptors. Nothing may hang, and what is lost is counted.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import { STREAMS } from "../../mesh/operations/streams.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestNats, type TestNats } from "../fakes/nats.ts";
import { startTcpProxy } from "../fakes/proxy.ts";

const EVENTS = { filter: "tombolo.events.>" };
const subject = "tombolo.events.east.drain";
let nats: TestNats;
let end: AbortController;
let running: Promise<void>[];

const open = async (port?: number): Promise<OperationsConnection> => {
  const connection = nats.connection("admin", port);
  running.push(connection.run(end.signal));
  await connection.ready(end.signal);
  for (const stream of STREAMS) await connection.ensureStream(stream, end.signal);
  return connection;
};

beforeEach(async () => {
  nats = await startTestNats("east");
  end = new AbortController();
  running = [];
});

afterEach(async () => {
  end.abort();
  await Promise.all(running);
  await nats.close();
});

describe("a nats-server that is killed while events are published", () => {
  test("comes back, and has every event once", async () => {
    const connection = await open();
    const before = nats.server.status().pid;
    for (let n = 0; n < 300; n++) connection.publish({ subject, data: `${n}`, id: `id-${n}` });
    await eventually(() => connection.status().stored > 20);
    process.kill(before, "SIGKILL");
    for (let n = 300; n < 600; n++) connection.publish({ subject, data: `${n}`, id: `id-${n}` });
    await eventually(() => connection.status().lost === 1 && connection.status().waiting === 0);
    const kept = await connection.read("EVENTS", EVENTS, end.signal);
    const numbers = kept.map(({ data }) => Number(data.toString())).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 600 }, (_, n) => n));
    expect(connection.status().dropped).toBe(0);
    expect(nats.server.status()).toMatchObject({ state: "running", restarts: 1 });
    expect(nats.server.status().pid).not.toBe(before);
  });
});

describe("a nats-server behind a black hole", () => {
  test("holds nobody up: what is published is counted, the end is prompt", async () => {
    const proxy = await startTcpProxy({ targetPort: nats.port });
    try {
      await proxy.swallow();
      const connection = nats.connection("admin", proxy.port);
      const stop = new AbortController();
      const run = connection.run(stop.signal);
      await eventually(() => proxy.accepted > 0);
      for (let n = 0; n < 1_500; n++) connection.publish({ subject, data: "x", id: `${n}` });
      expect(connection.status()).toMatchObject({ waiting: 1_000, dropped: 500 });
      await eventually(() => connection.status().lastError !== "");
      const asked = { subject: "tombolo.ask.east.n", data: "{}", timeoutMs: 60_000 };
      await expect(connection.ask(asked, end.signal)).rejects.toMatchObject({
        code: "unavailable",
      });
      const started = performance.now();
      stop.abort();
      await run;
      expect(performance.now() - started).toBeLessThan(1_000);
    } finally {
      await proxy.close();
    }
  });

  test("loses a question that is under way at its deadline, and when it is given up", async () => {
    const proxy = await startTcpProxy({ targetPort: nats.port });
    try {
      const connection = await open(proxy.port);
      await proxy.swallow();
      const asked = { subject: "tombolo.ask.east.n", data: "{}", timeoutMs: 200 };
      await expect(connection.ask(asked, end.signal)).rejects.toMatchObject({
        code: "deadline_exceeded",
      });
      const given = new AbortController();
      const asking = connection.ask({ ...asked, timeoutMs: 60_000 }, given.signal);
      given.abort();
      await expect(asking).rejects.toMatchObject({ code: "aborted" });
    } finally {
      await proxy.close();
    }
  });
});

describe("a nats-server without file descriptors", () => {
  test("takes no one new, and does when it has some again", async () => {
    const first = await open();
    const { pid } = nats.server.status();
    // What it has open stays open; nothing more can be opened.
    execFileSync("prlimit", ["--pid", String(pid), "--nofile=3:"]);
    const second = nats.connection("admin");
    running.push(second.run(end.signal));
    second.publish({ subject, data: "late", id: "late" });
    await eventually(() => second.status().lastError !== "");
    expect(first.status().state).toBe("connected");
    execFileSync("prlimit", ["--pid", String(pid), "--nofile=1024:"]);
    await eventually(() => second.status().waiting === 0);
    const kept = await first.read("EVENTS", EVENTS, end.signal);
    expect(kept.map(({ data }) => data.toString())).toEqual(["late"]);
  });
});
