// What reaches a node through the tunnel: answers to its probes, forged ones, probes of others, and
// faults in the way of real connections. Node a asks; node b is cluster 2 and has the faults.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { mapAddressFromText } from "../../bpf/address.ts";
import { createMemory } from "../../bpf/codec.ts";
import { openDatapathMaps, type CounterName, type DatapathMaps } from "../../bpf/datapath.ts";
import {
  FaultDirection,
  probePayloadCodec,
  type Fault,
  type Probe,
  type ProbePayload,
} from "../../bpf/gen/layout.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import { createNetwork, runIn, type TestNetwork, type TestNode } from "./network.ts";
import type { OverlayNode } from "./overlay-node.ts";
import { echoMessage, ipPacket, PROTOCOL } from "./packet.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

type Talker = ChildProcessByStdio<Writable, Readable, null>;

const TALKER = join(ROOT, "tests", "bpf", "talker.ts");
const REMOTE_NODE = 6;
const POD_IDENTITY = 0x020202;
const CLUSTER = { a: 1, b: 2 } as const;
const COOKIE = 0xfeed_face_cafe_beefn;
const PROBED = 5;
/** ICMP and ICMPv6. */
const ECHO = { "4": { request: 8, reply: 0 }, "6": { request: 128, reply: 129 } } as const;
const NO_FAULT: Fault = {
  expiresNs: 0n,
  packets: 0n,
  drill: 0,
  seed: 0,
  slowPriority: 0,
  directions: FaultDirection.nowhere,
  flowPercent: 0,
  dropPercent: 0,
  refuse: 0,
};

let scratch: Scratch;
let network: TestNetwork;
let maps: Record<"a" | "b", DatapathMaps>;
let server: Talker;

beforeAll(async () => {
  scratch = await createScratch();
  network = createNetwork(`${process.pid}-f`);
  for (const node of [network.a, network.b]) installNode(node);
  maps = { a: openNodeMaps("a"), b: openNodeMaps("b") };
  const { pod, pod4, pod6 } = network.b;
  server = spawn(
    "nsenter",
    [`--net=/run/netns/${pod}`, process.execPath, TALKER, "serve", pod4, pod6],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  await once(server.stdout, "data");
});

afterEach(() => {
  for (const node of ["a", "b"] as const)
    for (const peer of [0, 1, 2]) maps[node].faults.put(peer, NO_FAULT);
});

afterAll(async () => {
  if (server !== undefined) {
    const exit = once(server, "exit");
    server.stdin.end();
    await exit;
  }
  for (const node of ["a", "b"] as const) maps?.[node].close();
  network?.[Symbol.dispose]();
  for (const name of ["a", "b"]) rmdirSync(join(scratch.cgroupPath, name));
  await scratch?.[Symbol.asyncDispose]();
});

function openNodeMaps(node: "a" | "b"): DatapathMaps {
  return openDatapathMaps(join(scratch.bpfRoot, node));
}

function installNode(node: TestNode): void {
  const cgroupPath = join(scratch.cgroupPath, node.name);
  mkdirSync(cgroupPath);
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
    ipcache: [network.a, network.b].flatMap((to) => {
      const tunnelEndpoint = to === node ? "" : to.underlay4;
      const clusterId = CLUSTER[to.name];
      return [
        { prefix: `${to.pod4}/32`, identity: POD_IDENTITY, tunnelEndpoint, clusterId },
        { prefix: `${to.pod6}/128`, identity: POD_IDENTITY, tunnelEndpoint, clusterId },
        { prefix: `${to.underlay4}/32`, identity: 1, tunnelEndpoint: "", clusterId },
        { prefix: `${to.underlay6}/128`, identity: 1, tunnelEndpoint: "", clusterId },
      ];
    }),
  };
  const script = join(ROOT, "tests", "bpf", "overlay-node.ts");
  runIn(node.node, [process.execPath, script, JSON.stringify(config)]);
}

function talk(namespace: string, ...words: readonly string[]): string {
  return runIn(namespace, [process.execPath, TALKER, ...words]);
}

/** Node b sends the packets to node a as they are, under the identity. */
function tunnel(packets: readonly Buffer[], identity = REMOTE_NODE): void {
  const header = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUIntBE(identity, 4, 3);
  const datagrams = packets.map((packet) => Buffer.concat([header, packet]).toString("hex"));
  talk(network.b.node, "raw", network.a.underlay4, ...datagrams);
}

function payloadBytes(fields: Partial<ProbePayload> = {}): Buffer {
  const memory = createMemory(probePayloadCodec.size);
  const payload = { cookie: COOKIE, sentNs: process.hrtime.bigint(), target: PROBED, sequence: 1 };
  probePayloadCodec.encode({ ...payload, ...fields }, memory, 0);
  return Buffer.from(memory.bytes);
}

type Family = "4" | "6";

function echo(
  family: Family,
  kind: "request" | "reply",
  { payload = payloadBytes(), source }: { payload?: Buffer; source?: string } = {},
): Buffer {
  return ipPacket({
    source: source ?? network.b[`pod${family}`],
    destination: network.a[`underlay${family}`],
    protocol: family === "4" ? PROTOCOL.icmp : PROTOCOL.icmpv6,
    payload: echoMessage(ECHO[family][kind], payload),
  });
}

function expectProbe(family: Family): void {
  maps.a.probes.put(PROBED, {
    address: mapAddressFromText(network.b[`pod${family}`]),
    cookie: COOKIE,
    lastReplyNs: 0n,
    replies: 0n,
    roundTripNs: 0n,
    lastSequence: 0,
  });
}

function probe(): Probe | undefined {
  return maps.a.probes.get(PROBED);
}

function count(node: "a" | "b", name: CounterName): bigint {
  return maps[node].counters.read().get(name) ?? 0n;
}

function setFault(node: "a" | "b", fields: Partial<Fault>): void {
  maps[node].faults.put(CLUSTER[node === "a" ? "b" : "a"], {
    ...NO_FAULT,
    expiresNs: process.hrtime.bigint() + 3_600_000_000_000n,
    flowPercent: 100,
    ...fields,
  });
}

for (const family of ["4", "6"] as const) {
  describe(`probes over IPv${family}`, () => {
    test("are answered to the map, and to nobody else", async () => {
      expectProbe(family);
      const toStack = count("a", "overlayToStack");
      const sentNs = process.hrtime.bigint();
      const first = payloadBytes({ sentNs, sequence: 41 });
      tunnel([echo(family, "reply", { payload: first })]);
      await eventually(() => probe()?.replies === 1n);
      const heard = probe();
      expect(heard?.lastSequence).toBe(41);
      expect(heard?.roundTripNs).toBe((heard?.lastReplyNs ?? 0n) - sentNs);
      tunnel(
        [42, 43].map((sequence) => echo(family, "reply", { payload: payloadBytes({ sequence }) })),
      );
      await eventually(() => probe()?.replies === 3n);
      expect(probe()?.lastReplyNs).toBeGreaterThan(heard?.lastReplyNs ?? 0n);
      expect(count("a", "probeAnswered")).toBeGreaterThanOrEqual(3n);
      expect(count("a", "overlayToStack")).toBe(toStack);
    });

    test("are not answered by who does not know the cookie or is not asked", async () => {
      expectProbe(family);
      const toStack = count("a", "overlayToStack");
      const later = process.hrtime.bigint() + 3_600_000_000_000n;
      const forged = [
        echo(family, "reply", { payload: payloadBytes({ cookie: COOKIE + 1n }) }),
        echo(family, "reply", { payload: payloadBytes({ cookie: 0n, target: 9 }) }),
        echo(family, "reply", { payload: payloadBytes({ target: PROBED + 1 }) }),
        echo(family, "reply", { payload: payloadBytes({ target: 0xffff_ffff }) }),
        echo(family, "reply", { payload: payloadBytes({ sentNs: later }) }),
        echo(family, "reply", { source: network.b[`underlay${family}`] }),
        echo(family, "reply", { payload: Buffer.concat([payloadBytes(), Buffer.alloc(1)]) }),
        echo(family, "reply", { payload: payloadBytes().subarray(0, 23) }),
      ];
      tunnel(forged);
      await eventually(() => count("a", "overlayToStack") === toStack + BigInt(forged.length));
      expect(probe()).toMatchObject({ replies: 0n, lastReplyNs: 0n });
    });

    test("of other nodes are noted by cluster and go on to the stack", async () => {
      const before = maps.a.probeRequests.get(CLUSTER.b);
      const toStack = count("a", "overlayToStack");
      tunnel([echo(family, "request")]);
      await eventually(
        () => maps.a.probeRequests.get(CLUSTER.b)?.count === (before?.count ?? 0n) + 1n,
      );
      expect(maps.a.probeRequests.get(CLUSTER.b)?.lastNs).toBeGreaterThan(before?.lastNs ?? 0n);
      expect(count("a", "overlayToStack")).toBe(toStack + 1n);
      // A pod cannot speak for its cluster.
      tunnel([echo(family, "request")], POD_IDENTITY);
      await eventually(() => count("a", "overlayToStack") === toStack + 2n);
      expect(maps.a.probeRequests.get(CLUSTER.b)?.count).toBe((before?.count ?? 0n) + 1n);
    });

    test("are not heard in a black hole, until the kernel's clock ends it", async () => {
      expectProbe(family);
      const expiresNs = process.hrtime.bigint() + 2_000_000_000n;
      setFault("a", { directions: FaultDirection.inbound, dropPercent: 100, expiresNs });
      await eventually(() => {
        tunnel([echo(family, "reply")]);
        return probe()?.replies !== 0n;
      });
      expect(probe()?.lastReplyNs).toBeGreaterThanOrEqual(expiresNs);
      expect(maps.a.faults.get(CLUSTER.b)?.packets).toBeGreaterThan(0n);
    });

    test("that are dropped as they leave were sent: what is missing is their answers", () => {
      const { a, b } = network;
      const [link] = JSON.parse(runIn(a.node, ["ip", "-json", "link", "show", "overlay"])) as {
        ifindex: number;
      }[];
      const to = [b[`pod${family}`], b[`pod${family}`]];
      const words = [a[`underlay${family}`], link?.ifindex, COOKIE, PROBED, ...to].map(String);
      setFault("a", { directions: FaultDirection.outbound, dropPercent: 100 });
      expect(talk(a.node, "probe", ...words)).toBe("2");
      expect(maps.a.faults.get(CLUSTER.b)?.packets).toBe(2n);
    });
  });

  describe(`faults over IPv${family}`, () => {
    const refusal = { refuse: 1, dropPercent: 0 };

    test("that refuse what comes in are told to pods and nodes at once", () => {
      const { a, b } = network;
      const host = b[`pod${family}`];
      expect(talk(a.pod, "ask", host)).toMatch(/^HELLO/);
      setFault("b", { ...refusal, directions: FaultDirection.inbound });
      expect(talk(a.pod, "ask", host)).toMatch(/ECONNREFUSED/);
      expect(talk(a.node, "ask", host)).toMatch(/ECONNREFUSED/);
      expect(talk(a.pod, "ask-udp", host)).toMatch(/ECONNREFUSED/);
      expect(talk(a.node, "ask-udp", host)).toMatch(/ECONNREFUSED/);
      expect(maps.b.faults.get(CLUSTER.a)?.packets).toBe(4n);
    });

    test("that refuse what goes out are told to the node's own pods and stack", () => {
      const { a, b } = network;
      const host = b[`pod${family}`];
      setFault("a", { ...refusal, directions: FaultDirection.outbound });
      expect(talk(a.pod, "ask", host)).toMatch(/ECONNREFUSED/);
      expect(talk(a.node, "ask", host)).toMatch(/ECONNREFUSED/);
      expect(talk(a.pod, "ask-udp", host)).toMatch(/ECONNREFUSED/);
      expect(talk(a.node, "ask-udp", host)).toMatch(/ECONNREFUSED/);
      expect(maps.a.faults.get(CLUSTER.b)?.packets).toBe(4n);
      expect(maps.a.drops.read().get("tunnelKey")).toBe(0n);
    });

    test("that drop and end let a connection go on that waited for it", async () => {
      const { a, b } = network;
      const expiresNs = process.hrtime.bigint() + 1_500_000_000n;
      setFault("b", { directions: FaultDirection.outbound, dropPercent: 100, expiresNs });
      expect(talk(a.pod, "ask", b[`pod${family}`])).toMatch(/^HELLO/);
      expect(process.hrtime.bigint()).toBeGreaterThan(expiresNs);
    });
  });
}
