// The dead man's switch: whoever injected a fault is killed with SIGKILL, and real connections
// between two nodes show that the fault is over by its expiry, and not before. Node a injects; a
// canary program in its pod makes the connections.
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  test,
} from "@jest/globals";
import { spawn, type ChildProcess, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { CanaryReport } from "../../agent/drill/canary/messages.ts";
import { openDatapathMaps } from "../../bpf/datapath.ts";
import type { CanaryOrder, CanaryRecord, PacketFault } from "../../mesh/operations/questions.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import { createNetwork, runIn, type TestNetwork, type TestNode } from "./network.ts";
import type { OverlayNode } from "./overlay-node.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

type Program = ChildProcessByStdio<Writable, Readable, null>;

const HOLDER = join(ROOT, "tests/bpf/drill-holder.ts");
/** Takes every connection; those that are reset are no error of its own. */
const SERVER = `
  require("node:net").createServer((socket) => socket.on("error", () => {}).resume())
    .listen(7000, "::", () => console.log("ready"));
  process.stdin.on("end", () => process.exit(0)).resume();`;
const CANARY = join(ROOT, "agent/drill/canary/main.ts");
const IDENTITY = { a: 0x010101, b: 0x020202 } as const;
const CLUSTER = { a: 1, b: 2 } as const;
const TTL_MS = 2_000;
const TIMEOUT_MS = 250;

let scratch: Scratch;
let network: TestNetwork;
let server: Program | undefined;
const started: Program[] = [];
let records: CanaryRecord[];

beforeAll(async () => {
  scratch = await createScratch();
  network = createNetwork(`${process.pid}-d`);
  for (const node of [network.a, network.b]) installNode(node);
  server = start(network.b.pod, ["-e", SERVER]);
  await once(server.stdout, "data");
});

afterAll(async () => {
  if (server !== undefined) await end(server);
  network?.[Symbol.dispose]();
  for (const name of ["a", "b"]) rmdirSync(join(scratch.cgroupPath, name));
  await scratch?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  records = [];
});

afterEach(async () => {
  for (const program of started.splice(0)) {
    program.kill("SIGKILL");
    await end(program);
  }
});

function installNode(node: TestNode): void {
  const cgroupPath = join(scratch.cgroupPath, node.name);
  mkdirSync(cgroupPath);
  const { a, b } = network;
  const tunnelTo = (to: TestNode): string => (to === node ? "" : to.underlay4);
  const config: OverlayNode = {
    bpfRoot: join(scratch.bpfRoot, node.name),
    cgroupPath,
    objectDirectory: scratch.objectDirectory,
    overlayInterface: "overlay",
    pods: [
      {
        hostInterface: "veth",
        hostMac: node.hostMac,
        podMac: node.podMac,
        addresses: [node.pod4, node.pod6],
      },
    ],
    ipcache: [a, b].flatMap((to) => {
      const row = { identity: IDENTITY[to.name], clusterId: CLUSTER[to.name] };
      return [`${to.pod4}/32`, `${to.pod6}/128`].map((prefix) => ({
        ...row,
        prefix,
        tunnelEndpoint: tunnelTo(to),
      }));
    }),
  };
  const script = join(ROOT, "tests", "bpf", "overlay-node.ts");
  runIn(node.node, [process.execPath, script, JSON.stringify(config)]);
}

function start(namespace: string, words: readonly string[]): Program {
  return spawn("nsenter", [`--net=/run/netns/${namespace}`, process.execPath, ...words], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.stdin?.end();
  await exit;
}

/** Connections over both families from pod a to pod b, for as long as the program lives. */
function sendCanaries(): Program {
  const program = start(network.a.pod, [CANARY]);
  started.push(program);
  createInterface({ input: program.stdout }).on("line", (line) => {
    records.push(...(JSON.parse(line) as CanaryReport).records);
  });
  const orders = [`tcp:${network.b.pod4}:7000`, `tcp:[${network.b.pod6}]:7000`].map(
    (target): CanaryOrder => ({
      service: "shop/cart",
      target,
      protocol: "connect",
      perSecond: 25,
      timeoutMs: TIMEOUT_MS,
      keepOne: false,
    }),
  );
  program.stdin.write(`${JSON.stringify({ tell: "begin", orders, ttlMs: 600_000 })}\n`);
  return program;
}

async function inject(fields: Partial<PacketFault>): Promise<Program> {
  const fault: PacketFault = {
    peer: "b",
    direction: "both",
    flowPercent: 100,
    dropPercent: 100,
    refuse: false,
    slow: false,
    ...fields,
  };
  const order = JSON.stringify({ drill: "d", faults: [fault], ttlMs: TTL_MS });
  const root = join(scratch.bpfRoot, "a");
  const holder = start(network.a.node, [HOLDER, root, "overlay", order]);
  started.push(holder);
  await once(holder.stdout, "data");
  return holder;
}

async function kill9(holder: ChildProcess): Promise<number> {
  const exit = once(holder, "exit");
  holder.kill("SIGKILL");
  await exit;
  return Date.now();
}

function failed(record: CanaryRecord): boolean {
  return record.error !== "";
}

function sentBetween(fromMs: number, toMs: number): CanaryRecord[] {
  return records.filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs < toMs);
}

function filters(): string {
  return ["ingress", "egress"]
    .map((side) => runIn(network.a.node, ["tc", "filter", "show", "dev", "overlay", side]))
    .join("");
}

describe("a fault whose agent was killed", () => {
  for (const [what, fields] of [
    ["a black hole", {}],
    ["a refusal", { refuse: true }],
    ["a one-way black hole", { direction: "inbound" }],
  ] as const) {
    test(`${what} lasts until its expiry and is over then, with nobody's help`, async () => {
      const canaries = sendCanaries();
      await eventually(() => records.length > 10);
      expect(records.filter(failed)).toEqual([]);
      const holder = await inject(fields);
      const injectedAtMs = Date.now();
      await eventually(() => sentBetween(injectedAtMs, Infinity).length > 20);
      const killedAtMs = await kill9(holder);
      // The row's own expiry says by when; nobody writes it any more.
      using maps = openDatapathMaps(join(scratch.bpfRoot, "a"));
      const leftMs = Number((maps.faults.get(2)?.expiresNs ?? 0n) - process.hrtime.bigint()) / 1e6;
      const expiresAtMs = Date.now() + leftMs;
      expect(leftMs).toBeGreaterThan(TTL_MS / 2);
      expect(expiresAtMs).toBeLessThanOrEqual(killedAtMs + TTL_MS + 50);
      await eventually(() => sentBetween(expiresAtMs + 50, Infinity).length > 50);
      await end(canaries);

      // What began 1.1 s before the expiry cannot have been saved by TCP's own retransmissions.
      const during = sentBetween(injectedAtMs + 50, expiresAtMs - 1_100);
      expect(during.length).toBeGreaterThan(10);
      expect(during.every(failed)).toBe(true);
      const errors = new Set(during.map(({ error }) => error));
      expect(errors).toEqual(new Set([what === "a refusal" ? "ECONNREFUSED" : "hung"]));
      const stillFaulty = sentBetween(killedAtMs, expiresAtMs - TIMEOUT_MS - 50);
      expect(stillFaulty.length).toBeGreaterThan(10);
      expect(stillFaulty.every(failed)).toBe(true);
      expect(sentBetween(expiresAtMs + 50, Infinity).filter(failed)).toEqual([]);
    });
  }

  test("leaves a slow way that nothing takes, until the next agent takes it away", async () => {
    const before = filters();
    expect(before).toContain("bpf");
    const holder = await inject({ dropPercent: 0, slow: true });
    await kill9(holder);
    const qdiscs = (): string => runIn(network.a.node, ["tc", "qdisc", "show", "dev", "overlay"]);
    expect(qdiscs()).toContain("qdisc htb 7e5a: root");
    expect(filters()).toBe(before);
    const slowed = (): bigint => {
      using maps = openDatapathMaps(join(scratch.bpfRoot, "a"));
      return maps.faults.get(2)?.packets ?? 0n;
    };
    const canaries = sendCanaries();
    await eventually(() => slowed() > 0n);
    const root = join(scratch.bpfRoot, "a");
    {
      using maps = openDatapathMaps(root);
      const expiresNs = maps.faults.get(2)?.expiresNs ?? 0n;
      await eventually(() => process.hrtime.bigint() > expiresNs);
    }
    const atExpiry = slowed();
    const sent = records.length;
    await eventually(() => records.length > sent + 30);
    expect(slowed()).toBe(atExpiry);
    expect(qdiscs()).toContain("qdisc htb 7e5a: root");
    runIn(network.a.node, [process.execPath, HOLDER, root, "overlay", "tidy"]);
    expect(qdiscs()).not.toContain("htb");
    expect(filters()).toBe(before);
    const tidied = records.length;
    await eventually(() => records.length > tidied + 20);
    await end(canaries);
    expect(records.slice(tidied).filter(failed)).toEqual([]);
  });
});
