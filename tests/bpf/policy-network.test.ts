// Real packets between two clusters of one node and one pod each, with policies at both pods: what
// is allowed gets through in full, what is not does not, and no node can speak for another cluster.
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
import { execFileSync, spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { ipcacheKeyFromText } from "../../bpf/address.ts";
import {
  openDatapathMaps,
  type CounterName,
  type DatapathMaps,
  type DropName,
} from "../../bpf/datapath.ts";
import { FaultDirection, PolicyEnforcement, PolicyMode } from "../../bpf/gen/layout.ts";
import { openPolicyMaps, type PolicyMaps, type PolicyRow } from "../../bpf/policy-maps.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import { createNetwork, runIn, type TestNetwork, type TestNode } from "./network.ts";
import type { OverlayNode } from "./overlay-node.ts";
import { ipPacket, PROTOCOL, udpDatagram } from "./packet.ts";
import { egress, ingress } from "./policy-site.ts";
import { createRandom } from "./random.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

type Program = ChildProcessByStdio<Writable, Readable, null>;
type Name = "a" | "b";

const CLUSTER = { a: 1, b: 2 } as const;
const IDENTITY = { a: 0x010101, b: 0x020202 } as const;
const HOST = 1;
const REMOTE_NODE = 6;
const TALKER = join(ROOT, "tests", "bpf", "talker.ts");
const TCP_PORT = 7000;
const UDP_PORT = 7001;
const BIG_BYTES = 9_000;
/** Answers every datagram with what it says. */
const ECHO_SERVER = `
  for (const [type, host] of [["udp4", "0.0.0.0"], ["udp6", "::"]]) {
    const socket = require("node:dgram").createSocket({ type, ipv6Only: type === "udp6" });
    socket.on("message", (data, { port, address }) => socket.send(data, port, address));
    socket.bind(${UDP_PORT}, host, () => console.log("ready"));
  }
  process.stdin.on("end", () => process.exit(0)).resume();`;
/** Asks with so many bytes every 50 ms; a line for each answer of that length. */
const ECHO_CLIENT = `
  const [host, from, bytes] = process.argv.slice(1);
  const type = host.includes(":") ? "udp6" : "udp4";
  const socket = require("node:dgram").createSocket(type);
  socket.on("message", (data) => console.log(String(data.length)));
  socket.bind(0, from, () => {
    setInterval(() => socket.send(Buffer.alloc(Number(bytes)), ${UDP_PORT}, host), 50);
  });
  process.stdin.on("end", () => process.exit(0)).resume();`;

let scratch: Scratch;
let network: TestNetwork;
let maps: Record<Name, DatapathMaps>;
let policies: Record<Name, PolicyMaps>;
let ifindexes: Record<Name, number>;
let revision = 0;
const servers: Program[] = [];
const clients: Program[] = [];

beforeAll(async () => {
  scratch = await createScratch();
  network = createNetwork(`${process.pid}-p`);
  const { a, b } = network;
  for (const node of [a, b]) installNode(node);
  const root = (name: Name): string => join(scratch.bpfRoot, name);
  maps = { a: openDatapathMaps(root("a")), b: openDatapathMaps(root("b")) };
  policies = { a: openPolicyMaps(root("a")), b: openPolicyMaps(root("b")) };
  ifindexes = { a: hostIfindex(a), b: hostIfindex(b) };
  servers.push(start(b.pod, [TALKER, "serve", b.pod4, b.pod6]), start(b.pod, ["-e", ECHO_SERVER]));
  for (const { stdout } of servers) await once(stdout, "data");
});

beforeEach(() => {
  enforce("a", [egress.allow({ identity: IDENTITY.b })]);
  enforce("b", [ingress.allow({ identity: IDENTITY.a })]);
  for (const name of ["a", "b"] as const) maps[name].policyNode.put(0, { mode: PolicyMode.closed });
});

afterEach(async () => {
  for (const client of clients.splice(0)) await end(client);
});

afterAll(async () => {
  for (const server of servers) await end(server);
  for (const open of [...Object.values(maps ?? {}), ...Object.values(policies ?? {})]) open.close();
  network?.[Symbol.dispose]();
  for (const name of ["a", "b"]) rmdirSync(join(scratch.cgroupPath, name));
  await scratch?.[Symbol.asyncDispose]();
});

for (const family of ["4", "6"] as const) {
  describe(`IPv${family} between pods with policies`, () => {
    const podOf = (name: Name): string => network[name][`pod${family}`];

    test("TCP gets through in full, with all its offloads", async () => {
      expect(ask()).toBe(`HELLO ${podOf("a")}`);
      const [row] = Array.from(maps.b.connections.entries(), ([, value]) => value).filter(
        ({ remoteIdentity, sentBytes }) => remoteIdentity === IDENTITY.a && sentBytes > 300_000n,
      );
      expect(row).toMatchObject({ rule: 7 });
    });

    test("echoes and datagrams of many fragments get through, and their answers", async () => {
      for (const bytes of ["56", String(BIG_BYTES)]) expect(ping(bytes)).toBe(true);
      const client = echo(BIG_BYTES);
      const [line] = (await once(client.stdout, "data")) as [Buffer];
      expect(Number(line.toString().split("\n")[0])).toBe(BIG_BYTES);
    });

    test("what the receiver's policy does not allow is dropped behind the tunnel", () => {
      enforce("b", [ingress.allow({ identity: IDENTITY.a, protocol: PROTOCOL.tcp })]);
      const before = drops("b", "policyDenied");
      expect(ping("56")).toBe(false);
      // Delivered by redirection, it passed the egress of the pod's veth: there it was dropped.
      expect(drops("b", "policyDenied")).toBeGreaterThan(before);
      expect(ask()).toBe(`HELLO ${podOf("a")}`);
    });

    test("what the sender's policy does not allow never leaves", () => {
      enforce("a", [
        egress.allow({ identity: IDENTITY.b, protocol: PROTOCOL.tcp, port: TCP_PORT }),
      ]);
      const [before, arrived] = [drops("a", "policyDenied"), count("b", "overlayToPod")];
      expect(ping("56")).toBe(false);
      expect(drops("a", "policyDenied")).toBeGreaterThan(before);
      expect(count("b", "overlayToPod")).toBe(arrived);
    });

    test("a policy that changes cuts what it does not allow any more", async () => {
      const client = echo(100);
      await once(client.stdout, "data");
      const [cut, denied] = [count("b", "connectionCut"), drops("b", "policyDenied")];
      enforce("b", []);
      await eventually(() => count("b", "connectionCut") === cut + 1n);
      await eventually(() => drops("b", "policyDenied") > denied + 2n);
      let answers = 0;
      client.stdout.on("data", () => answers++);
      const later = drops("b", "policyDenied");
      await eventually(() => drops("b", "policyDenied") > later + 2n);
      expect(answers).toBe(0);
      enforce("b", [ingress.allow({ identity: IDENTITY.a })]);
      await eventually(() => answers > 0);
    });

    test("the node's own connections into a pod are the host's", () => {
      const { b } = network;
      const fromHost = (): boolean => ping("56", b.node);
      expect(fromHost()).toBe(false);
      enforce("b", [ingress.allow({ identity: HOST })]);
      expect(fromHost()).toBe(true);
    });

    test("a drill that refuses is believed by the pod", () => {
      const { a } = network;
      const fault = {
        expiresNs: process.hrtime.bigint() + 3_600_000_000_000n,
        packets: 0n,
        drill: 7,
        seed: 1,
        slowPriority: 0,
        directions: FaultDirection.outbound,
        flowPercent: 100,
        dropPercent: 0,
        refuse: 1,
      };
      maps.a.faults.put(CLUSTER.b, fault);
      const denied = drops("a", "policyDenied");
      try {
        expect(ask()).toContain("ECONNREFUSED");
        expect(talk(a.pod, "ask-udp", podOf("b"))).toContain("ECONNREFUSED");
      } finally {
        maps.a.faults.put(CLUSTER.b, { ...fault, expiresNs: 0n });
      }
      expect(drops("a", "policyDenied")).toBe(denied);
    });

    function ask(): string {
      return talk(network.a.pod, "ask", podOf("b"));
    }

    function ping(bytes: string, from = network.a.pod): boolean {
      const program = family === "4" ? "ping" : "ping6";
      const words = ["-c1", "-W1", "-s", bytes, podOf("b")];
      return succeeds(from, ["busybox", program, ...words]);
    }

    function echo(bytes: number): Program {
      const ends = [podOf("b"), podOf("a")];
      const client = start(network.a.pod, ["-e", ECHO_CLIENT, ...ends, String(bytes)]);
      clients.push(client);
      return client;
    }
  });
}

describe("from the tunnel", () => {
  const inner = (source: string): Buffer =>
    ipPacket({ source, destination: network.b.pod4, payload: udpDatagram([4000, 9999]) });
  const forge = (number: number, source: string): void => {
    talk(network.a.node, "raw", network.b.underlay4, vxlan(number, inner(source)));
  };

  test("no number is believed that is not the sending cluster's, or no number at all", async () => {
    enforce(
      "b",
      [0, 1, 11, 12, 13].map((identity) => ingress.allow({ identity })),
    );
    for (const number of [0, HOST, 11, 12, 13, IDENTITY.b, 0x030303]) {
      const before = drops("b", "tunnelIdentity");
      forge(number, network.a.pod4);
      await eventually(() => drops("b", "tunnelIdentity") === before + 1n);
    }
    const delivered = count("b", "overlayToPod");
    forge(IDENTITY.a, network.a.pod4);
    forge(REMOTE_NODE, network.a.underlay4);
    await eventually(() => count("b", "overlayToPod") === delivered + 2n);
  });

  test("no cluster sends in the name of another's pods, nor does who is no node", async () => {
    const before = drops("b", "tunnelSender");
    forge(IDENTITY.a, "10.2.1.9");
    await eventually(() => drops("b", "tunnelSender") === before + 1n);
    const key = ipcacheKeyFromText(`${network.a.underlay4}/32`);
    const row = maps.b.ipcache.get(key);
    maps.b.ipcache.delete(key);
    forge(IDENTITY.a, network.a.pod4);
    await eventually(() => drops("b", "tunnelSender") === before + 2n);
    if (row !== undefined) maps.b.ipcache.put(key, row);
  });

  test("without an engine the tunnel is believed, as ever", async () => {
    maps.b.policyNode.put(0, { mode: PolicyMode.off });
    const before = count("b", "overlayToPod");
    forge(IDENTITY.b, network.a.pod4);
    await eventually(() => count("b", "overlayToPod") === before + 1n);
  });

  test("every packet at random is delivered, left to the stack, or dropped for a reason", async () => {
    const seed = 20_261_123;
    const random = createRandom(seed);
    process.stderr.write(`seed ${seed}\n`);
    const batch = 250;
    for (let round = 0; round < 12; round++) {
      const before = seen();
      const packets = Array.from({ length: batch }, () => {
        const packet = inner(network.a.pod4);
        for (let changes = random() % 5; changes > 0; changes--)
          packet[14 + (random() % (packet.length - 14))] = random() % 256;
        return vxlan(random() % 3 === 0 ? random() & 0xffffff : IDENTITY.a, packet);
      });
      talk(network.a.node, "raw", network.b.underlay4, ...packets);
      await eventually(() => seen() >= before + BigInt(batch));
    }
    expect(talk(network.a.pod, "ask", network.b.pod4)).toBe(`HELLO ${network.a.pod4}`);
  });

  /** Packets that from_overlay has done something with, at least. */
  function seen(): bigint {
    const all = [...maps.b.drops.read().values()].reduce((sum, value) => sum + value, 0n);
    return all + count("b", "overlayToPod") + count("b", "overlayToStack");
  }
});

function vxlan(number: number, packet: Buffer): string {
  const header = Buffer.alloc(8);
  header[0] = 0x08;
  header.writeUIntBE(number, 4, 3);
  return Buffer.concat([header, packet]).toString("hex");
}

function enforce(name: Name, rows: readonly PolicyRow[]): void {
  const ifindex = ifindexes[name];
  policies[name].replace(ifindex, rows);
  const enforcement = PolicyEnforcement.on;
  maps[name].policyState.put(
    { ifindex },
    { identity: IDENTITY[name], revision: ++revision, enforcement },
  );
}

function installNode(node: TestNode): void {
  const cgroupPath = join(scratch.cgroupPath, node.name);
  mkdirSync(cgroupPath);
  const { a, b } = network;
  const config: OverlayNode = {
    bpfRoot: join(scratch.bpfRoot, node.name),
    cgroupPath,
    objectDirectory: scratch.objectDirectory,
    overlayInterface: "overlay",
    cluster: { name: node.name, id: CLUSTER[node.name], maxConnectedClusters: 255 },
    pods: [
      {
        hostInterface: "veth",
        hostMac: node.hostMac,
        podMac: node.podMac,
        addresses: [node.pod4, node.pod6],
      },
    ],
    ipcache: [a, b].flatMap((to) => {
      const own = to === node;
      const clusterId = CLUSTER[to.name];
      const pod = {
        identity: IDENTITY[to.name],
        tunnelEndpoint: own ? "" : to.underlay4,
        clusterId,
      };
      const host = { identity: own ? HOST : REMOTE_NODE, tunnelEndpoint: "", clusterId };
      return [
        { prefix: `${to.pod4}/32`, ...pod },
        { prefix: `${to.pod6}/128`, ...pod },
        { prefix: `10.${clusterId}.1.0/24`, ...pod, identity: 3 },
        { prefix: `${to.underlay4}/32`, ...host },
        { prefix: `${to.underlay6}/128`, ...host },
      ];
    }),
  };
  const script = join(ROOT, "tests", "bpf", "overlay-node.ts");
  runIn(node.node, [process.execPath, script, JSON.stringify(config)]);
}

function hostIfindex({ node }: TestNode): number {
  const [link] = JSON.parse(
    execFileSync("ip", ["-n", node, "-j", "link", "show", "veth"], { encoding: "utf8" }),
  ) as { ifindex: number }[];
  return link?.ifindex ?? 0;
}

function start(namespace: string, words: readonly string[]): Program {
  const command = [`--net=/run/netns/${namespace}`, process.execPath, ...words];
  return spawn("nsenter", command, { stdio: ["pipe", "pipe", "inherit"] });
}

async function end(program: Program): Promise<void> {
  if (program.exitCode !== null) return;
  const exit = once(program, "exit");
  program.stdin.end();
  await exit;
}

function talk(namespace: string, ...words: readonly string[]): string {
  return runIn(namespace, [process.execPath, TALKER, ...words]);
}

function succeeds(namespace: string, command: readonly string[]): boolean {
  try {
    runIn(namespace, command);
    return true;
  } catch {
    return false;
  }
}

function count(name: Name, counter: CounterName): bigint {
  return maps[name].counters.read().get(counter) ?? 0n;
}

function drops(name: Name, reason: DropName): bigint {
  return maps[name].drops.read().get(reason) ?? 0n;
}
