// Canaries as real processes against a server that answers, is late, is silent, resets, answers
// twice: every request is in the ledger once, with what really became of it.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { spawn, type ChildProcess } from "node:child_process";
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { CANARY_CGROUP, createCanaries, type Canaries } from "../../agent/drill/canaries.ts";
import { findCgroup2 } from "../../bpf/mounts.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { CanaryOrder, CanaryRecord, KeptFlow } from "../../mesh/operations/questions.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";

/** What the server makes of request n. */
type Mood = "answer" | "late" | "silent" | "reset" | "close" | "twice" | "wrong";
const MOODS: readonly Mood[] = ["answer", "late", "silent", "reset", "close", "twice", "wrong"];
const mixed = (n: number): Mood => MOODS[n % MOODS.length] ?? "answer";
const TIMEOUT_MS = 400;
const LATE_MS = 120;

const cgroupPath = join(findCgroup2(), `tombolo-canaries-${process.pid}`);
const seen = new Map<number, number>();
const sockets = new Set<Socket>();
let server: Server;
let datagrams: Datagrams;
let canaries: Canaries;
let moodOf = mixed;

beforeEach(async () => {
  mkdirSync(cgroupPath);
  seen.clear();
  moodOf = mixed;
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      for (const line of data.toString().trimEnd().split("\n")) serve(socket, Number(line));
    });
  });
  server.listen(0, "::");
  await once(server, "listening");
  datagrams = createSocket("udp6");
  datagrams.on("message", (message, from) => {
    const n = Number(message.toString());
    seen.set(n, (seen.get(n) ?? 0) + 1);
    const answer = (): void => datagrams.send(`west/one ${n}\n`, from.port, from.address);
    const times = [1, 0, 2, 4][n % 4] ?? 0;
    for (let i = 0; i < times; i++) answer();
  });
  datagrams.bind(0, "::");
  await once(datagrams, "listening");
  canaries = createCanaries({ cgroupPath, log: silentLogger });
});

afterEach(async () => {
  await canaries.close();
  await eventually(() => !existsSync(join(cgroupPath, CANARY_CGROUP)));
  for (const socket of sockets) socket.destroy();
  server.close();
  datagrams.close();
  rmdirSync(cgroupPath);
});

/** Keeps the server's own account of what it was asked. */
function serve(socket: Socket, n: number): void {
  seen.set(n, (seen.get(n) ?? 0) + 1);
  const line = `west/one ${n}\n`;
  const mood = moodOf(n);
  if (mood === "answer") socket.write(line);
  else if (mood === "late") void later(LATE_MS).then(() => socket.write(line));
  else if (mood === "reset") socket.resetAndDestroy();
  else if (mood === "close") socket.end();
  else if (mood === "twice") socket.write(line + line);
  else if (mood === "wrong") socket.write(`west/one ${n + 1}\n`);
}

async function later(ms: number): Promise<void> {
  const start = performance.now();
  await eventually(() => performance.now() - start >= ms, { pollMs: 5 });
}

function order(fields: Partial<CanaryOrder>): CanaryOrder {
  return {
    service: "shop/cart",
    target: `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`,
    protocol: "echo",
    perSecond: 100,
    timeoutMs: TIMEOUT_MS,
    keepOne: false,
    ...fields,
  };
}

/** Fetches as a coordinator does until nothing more comes. */
async function fetchAll(drill: string, orders: number): Promise<CanaryRecord[][]> {
  const records: CanaryRecord[][] = Array.from({ length: orders }, () => []);
  const fetchMore = (): number => {
    const answer = canaries.records({ drill, from: records.map(({ length }) => length) });
    answer.orders.forEach((one, index) => records[index]?.push(...one.records));
    return answer.orders.reduce((sum, one) => sum + one.records.length, 0);
  };
  await eventually(() => {
    fetchMore();
    return !existsSync(join(cgroupPath, CANARY_CGROUP)) && fetchMore() === 0;
  });
  return records;
}

function keptOf(drill: string): readonly KeptFlow[] {
  return canaries.records({ drill, from: [0] }).orders[0]?.kept ?? [];
}

const EXPECTED: Record<Mood, Pick<CanaryRecord, "answer" | "error" | "duplicates">> = {
  answer: { answer: "west/one", error: "", duplicates: 0 },
  late: { answer: "west/one", error: "", duplicates: 0 },
  silent: { answer: "", error: "hung", duplicates: 0 },
  reset: { answer: "", error: "ECONNRESET", duplicates: 0 },
  close: { answer: "", error: "closed without an answer", duplicates: 0 },
  twice: { answer: "west/one", error: "", duplicates: 1 },
  wrong: { answer: "", error: "", duplicates: 0 },
};

describe("canaries", () => {
  for (const [name, host] of [
    ["IPv4", "127.0.0.1"],
    ["IPv6", "[::1]"],
  ]) {
    test(`over TCP and ${name}: each request once, with what became of it`, async () => {
      const { port } = server.address() as AddressInfo;
      const orders = [order({ target: `tcp:${host}:${port}` })];
      await canaries.order({ drill: "d", orders, ttlMs: 1_500 });
      const [records = []] = await fetchAll("d", 1);
      expect(records.length).toBeGreaterThan(140);
      expect(records.map(({ n }) => n)).toEqual(records.map((_, index) => index));
      for (const { n, ms, ...record } of records) {
        const expected = EXPECTED[moodOf(n)];
        const error = moodOf(n) === "wrong" ? `the answer is to request ${n + 1}` : expected.error;
        expect({ n, ...record }).toEqual({ ...expected, error, n, sentAtMs: record.sentAtMs });
        if (moodOf(n) === "late") expect(ms).toBeGreaterThanOrEqual(LATE_MS - 1);
        if (moodOf(n) === "silent") expect(ms).toBeGreaterThanOrEqual(TIMEOUT_MS);
      }
      // The server's account agrees: nothing was sent that is not in the ledger, and nothing twice.
      expect([...seen.keys()].sort((a, b) => a - b)).toEqual(records.map(({ n }) => n));
      expect([...seen.values()].every((times) => times === 1)).toBe(true);
    });

    test(`over UDP and ${name}: lost and doubled answers are told apart`, async () => {
      const { port } = datagrams.address();
      const orders = [order({ target: `udp:${host}:${port}` })];
      await canaries.order({ drill: "d", orders, ttlMs: 1_000 });
      const [records = []] = await fetchAll("d", 1);
      expect(records.length).toBeGreaterThan(90);
      for (const { n, answer, error, duplicates } of records) {
        const times = [1, 0, 2, 4][n % 4] ?? 0;
        const lost = times === 0;
        expect({ n, answer, error, duplicates }).toEqual({
          n,
          answer: lost ? "" : "west/one",
          error: lost ? "hung" : "",
          duplicates: Math.max(0, times - 1),
        });
      }
      expect(seen.size).toBe(records.length);
    });
  }

  test("refused calls fail at once; orders do not hold each other up", async () => {
    const orders = [
      order({ target: "tcp:127.0.0.1:1", protocol: "connect" }),
      order({ target: "udp:127.0.0.1:1" }),
      order({ protocol: "connect", perSecond: 50 }),
    ];
    await canaries.order({ drill: "d", orders, ttlMs: 1_000 });
    const [refused = [], refusedUdp = [], connected = []] = await fetchAll("d", 3);
    for (const records of [refused, refusedUdp]) {
      expect(records.length).toBeGreaterThan(90);
      expect(new Set(records.map(({ error }) => error))).toEqual(new Set(["ECONNREFUSED"]));
    }
    expect(connected.length).toBeGreaterThan(45);
    expect(connected.every(({ error, answer }) => error === "" && answer === "")).toBe(true);
  });

  for (const [mood, end] of [
    ["reset", "reset"],
    ["close", "closed"],
    ["silent", "hung"],
  ] as const) {
    test(`a kept connection that meets "${mood}" has ended as "${end}" and is replaced`, async () => {
      let left = 3;
      moodOf = () => (left-- > 0 ? "answer" : mood);
      const orders = [order({ perSecond: 0.1, keepOne: true })];
      await canaries.order({ drill: "d", orders, ttlMs: 60_000 });
      const flows = await eventually(() => (keptOf("d").length >= 2 ? keptOf("d") : undefined));
      expect(flows[0]).toMatchObject({ answer: "west/one", end });
      const lastedMs = (flows[0]?.endedAtMs ?? 0) - (flows[0]?.openedAtMs ?? 0);
      if (end === "hung") expect(lastedMs).toBeGreaterThan(TIMEOUT_MS);
      moodOf = () => "answer";
      await eventually(() => keptOf("d").at(-1)?.answer === "west/one");
      await canaries.order({ drill: "d", orders: [], ttlMs: 1 });
      // The last one never ended.
      await fetchAll("d", 1);
      expect(keptOf("d").at(-1)).toMatchObject({ endedAtMs: -1, end: "" });
    });
  }

  test("runs in its cgroup, is renewed, refuses another drill, and stops when asked", async () => {
    const orders = [order({})];
    await canaries.order({ drill: "d", orders, ttlMs: 600 });
    const pids = (): string =>
      readFileSync(join(cgroupPath, CANARY_CGROUP, "cgroup.procs"), "utf8").trim();
    const first = pids();
    expect(first).toMatch(/^\d+$/);
    await canaries.order({ drill: "d", orders, ttlMs: 60_000 });
    await expect(canaries.order({ drill: "e", orders, ttlMs: 600 })).rejects.toThrow(
      /Cannot send canaries of drill "e": those of drill "d" run/,
    );
    expect(() => canaries.records({ drill: "e", from: [] })).toThrow(/it has no canaries/);
    await eventually(() => seen.size > 100); // A second: longer than its first time.
    expect(pids()).toBe(first);
    await canaries.order({ drill: "d", orders: [], ttlMs: 1 });
    const [records = []] = await fetchAll("d", 1);
    expect(records.length).toBe(seen.size);
    await canaries.order({ drill: "e", orders, ttlMs: 100 });
    await fetchAll("e", 1);
  });

  test("the program ends when its parent is killed", async () => {
    const script = `
      const { createCanaries } = await import(${JSON.stringify(join(ROOT, "agent/drill/canaries.ts"))});
      const { silentLogger } = await import(${JSON.stringify(join(ROOT, "mesh/core/logger.ts"))});
      const cgroupPath = ${JSON.stringify(cgroupPath)};
      const canaries = createCanaries({ cgroupPath, log: silentLogger });
      await canaries.order({ drill: "d", ttlMs: 600000, orders: [${JSON.stringify(order({}))}] });
    `;
    const parent: ChildProcess = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: "ignore",
    });
    await eventually(() => seen.size > 5);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    const procs = join(cgroupPath, CANARY_CGROUP, "cgroup.procs");
    await eventually(() => readFileSync(procs, "utf8") === "");
    // The cgroup is empty; the next agent takes it away. The kernel lets go of it a moment after
    // its last process has left the list.
    await eventually(() => rmdirSync(join(cgroupPath, CANARY_CGROUP)) ?? true);
  });
});
