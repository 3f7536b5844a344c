// Real packets between two nodes: from a pod through from_pod, VXLAN and from_overlay into the
// other node's pod, and to and from the nodes themselves.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { execFileSync, spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { openDatapathMaps, type CounterName, type DropName } from "../../bpf/datapath.ts";
import { ROOT } from "../sources.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  createNetwork,
  runIn,
  WIRE_TAP,
  WIRE_TAP_POD,
  type TestNetwork,
  type TestNode,
} from "./network.ts";
import type { OverlayNode } from "./overlay-node.ts";
import { ethernetPacket, hasValidChecksum, hopLimitOf, ipPacket, withBytes } from "./packet.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const IDENTITY = { a: 0x010101, b: 0x020202 } as const;
const HOST_IDENTITY = 1;
const VXLAN_BYTES = 8;
type Talker = ChildProcessByStdio<Writable, Readable, null>;
const TALKER = join(ROOT, "tests", "bpf", "talker.ts");

for (const underlay of ["IPv4", "IPv6"] as const) {
  describe(`overlay over ${underlay}`, () => {
    let scratch: Scratch;
    let network: TestNetwork;
    const talkers: Talker[] = [];

    beforeAll(async () => {
      scratch = await createScratch();
      network = createNetwork(`${process.pid}-${underlay.slice(-1)}`);
      for (const node of [network.a, network.b]) installNode(node);
      await serve(network.b.pod, [network.b.pod4, network.b.pod6]);
      await serve(network.b.node, [network.b.underlay4, network.b.underlay6]);
    });

    afterAll(async () => {
      for (const talker of talkers) {
        if (talker.exitCode !== null) continue;
        const exit = once(talker, "exit");
        talker.stdin.end();
        await exit;
      }
      network?.[Symbol.dispose]();
      for (const name of ["a", "b"]) rmdirSync(join(scratch.cgroupPath, name));
      await scratch?.[Symbol.asyncDispose]();
    });

    for (const family of ["4", "6"] as const) {
      test(`carries IPv${family} from pod to pod`, () => {
        const { a, b } = network;
        const before = count("b", "overlayToPod");
        expect(ask(a.pod, b[`pod${family}`])).toBe(`HELLO ${a[`pod${family}`]}`);
        expect(count("a", "podToOverlay")).toBeGreaterThan(0n);
        expect(count("b", "overlayToPod")).toBeGreaterThan(before);
        expect(count("b", "podToOverlay")).toBeGreaterThan(0n);
      });

      test(`carries IPv${family} from node to pod`, () => {
        const { a, b } = network;
        const before = count("a", "hostToOverlay");
        expect(ask(a.node, b[`pod${family}`])).toBe(`HELLO ${a[`underlay${family}`]}`);
        expect(count("a", "hostToOverlay")).toBeGreaterThan(before);
      });
    }

    test("leaves a packet whose time to live has come to the stack, which tells the pod", async () => {
      const { a, b } = network;
      const timeExceeded = (): number => icmpTimeExceeded(a.pod);
      const before = timeExceeded();
      send(a.pod, { to: b.pod4, from: a.pod4, ttl: 1 });
      await eventually(() => timeExceeded() === before + 1);
      expect(drops("a", "ttlExceeded")).toBe(1n);
    });

    test("drops and counts what nobody knows the way to", async () => {
      const { a } = network;
      const before = drops("a", "noTunnelEndpoint");
      // The pod's side finds no entry, and the node's route leads to the overlay.
      send(a.pod, { to: "10.77.0.1", from: a.pod4 });
      await eventually(() => drops("a", "noTunnelEndpoint") === before + 1n);
    });

    test("drops a packet with the address of another node's pod", async () => {
      const { a, b } = network;
      execFileSync("ip", ["-n", a.pod, "address", "add", `${b.pod4}/32`, "dev", "eth0"]);
      send(a.pod, { to: "10.2.9.9", from: b.pod4 });
      await eventually(() => drops("a", "sourceSpoofed") === 1n);
      execFileSync("ip", ["-n", a.pod, "address", "delete", `${b.pod4}/32`, "dev", "eth0"]);
    });

    test("drops and counts garbage in the tunnel", async () => {
      const { a, b } = network;
      const inner = ipPacket({ source: a.pod4, destination: b.pod4 });
      const to = underlay === "IPv4" ? b.underlay4 : b.underlay6;
      const [malformed, notIp] = [drops("b", "malformed"), drops("b", "notIp")];
      const delivered = count("b", "overlayToPod");
      const packets = [
        withBytes(inner, 2, [0xff, 0xff]),
        withBytes(inner, 2, [0, 19]),
        withBytes(inner, 0, [0x4f]),
        ethernetPacket(0x88b5, Buffer.alloc(50)),
        inner,
      ].map((packet) => Buffer.concat([vxlanHeader(IDENTITY.a), packet]).toString("hex"));
      talk(a.node, "raw", to, ...packets);
      await eventually(() => count("b", "overlayToPod") === delivered + 1n);
      await eventually(() => drops("b", "notIp") === notIp + 1n);
      await eventually(() => drops("b", "malformed") === malformed + 3n);
    });

    if (underlay === "IPv4") {
      test("writes the source's identity into the VXLAN network identifier", async () => {
        const { a } = network;
        const fromPod = await captureTunnel(() => send(a.pod, { to: WIRE_TAP_POD, from: a.pod4 }));
        expect(fromPod).toMatchObject({ identity: IDENTITY.a, hopLimit: 63, validChecksum: true });
        // Other nodes know the node as "remote-node".
        const fromNode = await captureTunnel(() =>
          send(a.node, { to: WIRE_TAP_POD, from: a.underlay4 }),
        );
        expect(fromNode).toMatchObject({ identity: 6, hopLimit: 64, validChecksum: true });
      });
    }

    /** Plays the node at WIRE_TAP: pod b's namespace takes the datagrams as they are. */
    async function captureTunnel(action: () => void): Promise<{
      identity: number;
      hopLimit: number | undefined;
      validChecksum: boolean;
    }> {
      const listener = talkLong(network.b.pod, "capture", WIRE_TAP);
      await once(listener.stdout, "data");
      const captured = once(listener.stdout, "data");
      action();
      const [hex] = (await captured) as [Buffer];
      const datagram = Buffer.from(hex.toString(), "hex");
      const packet = datagram.subarray(VXLAN_BYTES);
      return {
        identity: datagram.readUIntBE(4, 3),
        hopLimit: hopLimitOf(packet),
        validChecksum: hasValidChecksum(packet),
      };
    }

    function installNode(node: TestNode): void {
      const cgroupPath = join(scratch.cgroupPath, node.name);
      mkdirSync(cgroupPath);
      const { a, b } = network;
      const tunnelTo = (to: TestNode): string => {
        if (to === node) return "";
        return underlay === "IPv4" ? to.underlay4 : to.underlay6;
      };
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
        ipcache: [a, b]
          .flatMap((to) => [
            { prefix: `${to.pod4}/32`, identity: IDENTITY[to.name], tunnelEndpoint: tunnelTo(to) },
            { prefix: `${to.pod6}/128`, identity: IDENTITY[to.name], tunnelEndpoint: tunnelTo(to) },
            // The other node's own addresses are reached without a tunnel; pods are by prefix too.
            { prefix: `${to.underlay4}/32`, identity: HOST_IDENTITY, tunnelEndpoint: "" },
            { prefix: `${to.underlay6}/128`, identity: HOST_IDENTITY, tunnelEndpoint: "" },
          ])
          .concat({ prefix: `${WIRE_TAP_POD}/32`, identity: 9, tunnelEndpoint: WIRE_TAP }),
      };
      const script = join(ROOT, "tests", "bpf", "overlay-node.ts");
      runIn(node.node, [process.execPath, script, JSON.stringify(config)]);
    }

    async function serve(namespace: string, hosts: readonly string[]): Promise<void> {
      await once(talkLong(namespace, "serve", ...hosts).stdout, "data");
    }

    /** A talker that is ended with the suite, at the latest. */
    function talkLong(namespace: string, ...words: readonly string[]): Talker {
      const talker = spawn(
        "nsenter",
        [`--net=/run/netns/${namespace}`, process.execPath, TALKER, ...words],
        { stdio: ["pipe", "pipe", "inherit"] },
      );
      talkers.push(talker);
      return talker;
    }

    function count(node: string, name: CounterName): bigint {
      using maps = openDatapathMaps(join(scratch.bpfRoot, node));
      return maps.counters.read().get(name) ?? 0n;
    }

    function drops(node: string, name: DropName): bigint {
      using maps = openDatapathMaps(join(scratch.bpfRoot, node));
      return maps.drops.read().get(name) ?? 0n;
    }
  });
}

/** RFC 7348, figure 1: flags with the I bit, then the 24-bit network identifier. */
function vxlanHeader(identity: number): Buffer {
  const header = Buffer.alloc(VXLAN_BYTES);
  header[0] = 0x08;
  header.writeUIntBE(identity, 4, 3);
  return header;
}

function talk(namespace: string, ...words: readonly string[]): string {
  return runIn(namespace, [process.execPath, TALKER, ...words]);
}

function ask(namespace: string, host: string): string {
  return talk(namespace, "ask", host);
}

function send(
  namespace: string,
  { to, from, ttl = 64 }: { readonly to: string; readonly from: string; readonly ttl?: number },
): void {
  talk(namespace, "send", to, from, String(ttl));
}

/** ICMP "time exceeded" messages that the namespace has received. */
function icmpTimeExceeded(namespace: string): number {
  const lines = runIn(namespace, ["cat", "/proc/net/snmp"]).split("\n");
  const [names = [], values = []] = lines
    .filter((line) => line.startsWith("Icmp:"))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf("InTimeExcds")]);
}
