// Packets in, verdicts and packets out, for the tc programs: a table of each, everything that is
// malformed, and thousands of damaged packets.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { join } from "node:path";
import { ipcacheKeyFromPrefix, mapAddressFromAddress } from "../../bpf/address.ts";
import { openDatapath, type Datapath, type DropName } from "../../bpf/datapath.ts";
import { parseAddress, parsePrefix } from "../../mesh/core/address.ts";
import {
  ETHER_TYPE,
  ethernetPacket,
  hasValidChecksum,
  hopLimitOf,
  ipPacket,
  isIpv4,
  withBytes,
} from "./packet.ts";
import { createRandom } from "./random.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { LOOPBACK_IFINDEX, runProgram, type TestRun, type Verdict } from "./test-run.ts";

jest.setTimeout(SLOW_MACHINE_MS);

type ProgramName = "from_pod" | "to_overlay" | "from_overlay";

const POD4 = "10.1.0.2";
const POD6 = "fd01::2";
const OTHER_POD4 = "10.1.0.3";
const REMOTE4 = "10.2.0.2";
const REMOTE6 = "fd02::2";
const REMOTE4_OVER_IPV6 = "10.3.0.2";

let scratch: Scratch;
let datapath: Datapath;

beforeAll(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
  const { maps } = datapath;
  const putPrefix = (prefix: string, identity: number, tunnelEndpoint?: string): void =>
    maps.ipcache.put(ipcacheKeyFromPrefix(parsePrefix(prefix)), {
      identity,
      tunnelEndpoint:
        tunnelEndpoint === undefined
          ? new Uint8Array(16)
          : mapAddressFromAddress(parseAddress(tunnelEndpoint)),
      clusterId: 1,
      encryptionKey: 0,
    });
  putPrefix(`${POD4}/32`, 65_537);
  putPrefix(`${POD6}/128`, 65_537);
  putPrefix("10.2.0.0/16", 131_073, "192.0.2.2");
  putPrefix("fd02::/16", 131_073, "192.0.2.2");
  putPrefix("10.3.0.0/16", 196_609, "2001:db8::3");
  const putEndpoint = (address: string, ifindex: number): void =>
    maps.endpoints.put(
      { address: mapAddressFromAddress(parseAddress(address)) },
      { ifindex, podMac: new Uint8Array(6).fill(2), hostMac: new Uint8Array(6).fill(4) },
    );
  putEndpoint(POD4, LOOPBACK_IFINDEX);
  putEndpoint(POD6, LOOPBACK_IFINDEX);
  putEndpoint(OTHER_POD4, 999);
});

afterAll(async () => {
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

/** The run, and the drop reasons that were counted meanwhile. */
function run(program: ProgramName, packet: Buffer): TestRun & { readonly drops: DropName[] } {
  const before = datapath.maps.drops.read();
  const result = runProgram(join(scratch.bpfRoot, "programs", program), packet);
  const drops = [...datapath.maps.drops.read()].flatMap(([name, count]) =>
    Array<DropName>(Number(count - (before.get(name) ?? 0n))).fill(name),
  );
  return { ...result, drops };
}

interface Case {
  readonly program: ProgramName;
  readonly packet: Buffer;
  readonly verdict: Verdict;
  readonly drop?: DropName;
}

const PAYLOAD_BYTES = 12;
const ARP = ethernetPacket(ETHER_TYPE.arp, Buffer.alloc(28));
const TO_REMOTE4 = ipPacket({ source: POD4, destination: REMOTE4 });
const TO_REMOTE6 = ipPacket({ source: POD6, destination: REMOTE6 });

const CASES: Readonly<Record<string, Case>> = {
  "from_pod sends IPv4 to another node": {
    program: "from_pod",
    packet: TO_REMOTE4,
    verdict: "redirect",
  },
  "from_pod sends IPv6 to another node": {
    program: "from_pod",
    packet: TO_REMOTE6,
    verdict: "redirect",
  },
  "from_pod sends to a node with an IPv6 address": {
    program: "from_pod",
    packet: ipPacket({ source: POD4, destination: REMOTE4_OVER_IPV6 }),
    verdict: "redirect",
  },
  "from_pod leaves a pod of this node to the stack": {
    program: "from_pod",
    packet: ipPacket({ source: POD4, destination: OTHER_POD4 }),
    verdict: "ok",
  },
  "from_pod leaves the world to the stack": {
    program: "from_pod",
    packet: ipPacket({ source: POD4, destination: "198.51.100.1" }),
    verdict: "ok",
  },
  "from_pod leaves ARP to the stack": { program: "from_pod", packet: ARP, verdict: "ok" },
  "from_pod leaves neighbour discovery to the stack": {
    program: "from_pod",
    packet: ipPacket({ source: POD6, destination: "ff02::1:ff00:1" }),
    verdict: "ok",
  },
  "from_pod leaves link-local addresses to the stack": {
    program: "from_pod",
    packet: ipPacket({ source: "fe80::2", destination: "fe80::1" }),
    verdict: "ok",
  },
  "from_pod leaves IPv4 multicast to the stack": {
    program: "from_pod",
    packet: ipPacket({ source: POD4, destination: "224.0.0.1" }),
    verdict: "ok",
  },
  "from_pod leaves a packet at the end of its life to the stack": {
    program: "from_pod",
    packet: ipPacket({ source: POD4, destination: REMOTE4, hopLimit: 1 }),
    verdict: "ok",
    drop: "ttlExceeded",
  },
  "from_pod drops the address of another pod of the node": {
    program: "from_pod",
    packet: ipPacket({ source: OTHER_POD4, destination: REMOTE4 }),
    verdict: "shot",
    drop: "sourceSpoofed",
  },
  "from_pod drops the address of a pod of another node": {
    program: "from_pod",
    packet: ipPacket({ source: REMOTE4, destination: "198.51.100.1" }),
    verdict: "shot",
    drop: "sourceSpoofed",
  },
  "to_overlay lets a packet for another node pass": {
    program: "to_overlay",
    packet: ipPacket({ source: "192.0.2.1", destination: REMOTE4 }),
    verdict: "ok",
  },
  "to_overlay drops what belongs to no node": {
    program: "to_overlay",
    packet: ipPacket({ source: "192.0.2.1", destination: "10.77.0.1" }),
    verdict: "shot",
    drop: "noTunnelEndpoint",
  },
  "to_overlay drops what is reached without a tunnel": {
    program: "to_overlay",
    packet: ipPacket({ source: "192.0.2.1", destination: POD4 }),
    verdict: "shot",
    drop: "noTunnelEndpoint",
  },
  "to_overlay drops ARP": { program: "to_overlay", packet: ARP, verdict: "shot", drop: "notIp" },
  "from_overlay drops a packet that came through no tunnel": {
    program: "from_overlay",
    packet: ipPacket({ source: REMOTE4, destination: POD4 }),
    verdict: "shot",
    drop: "tunnelKey",
  },
};

// A header that is cut short is missing here: this way in, current kernels refuse such a packet
// before the program sees it.
const MALFORMED: Readonly<Record<string, Buffer>> = {
  "an IPv4 packet cut short": TO_REMOTE4.subarray(0, -1),
  "an IPv6 packet cut short": TO_REMOTE6.subarray(0, -1),
  "version 6 in an IPv4 frame": withBytes(TO_REMOTE4, 0, [0x65]),
  "version 4 in an IPv6 frame": withBytes(TO_REMOTE6, 0, [0x40]),
  "an IPv4 header length below 20": withBytes(TO_REMOTE4, 0, [0x44]),
  "an IPv4 header longer than the packet": withBytes(TO_REMOTE4, 0, [0x4f]),
  "an IPv4 total length below the header's": withBytes(TO_REMOTE4, 2, [0, 19]),
  "an IPv4 total length beyond the packet": withBytes(TO_REMOTE4, 2, [0xff, 0xff]),
  "an IPv6 payload length beyond the packet": withBytes(TO_REMOTE6, 4, [0xff, 0xff]),
};

describe("tc programs", () => {
  for (const [name, { program, packet, verdict, drop }] of Object.entries(CASES)) {
    test(name, () => {
      const result = run(program, packet);
      expect(result.verdict).toBe(verdict);
      expect(result.drops).toEqual(drop === undefined ? [] : [drop]);
      if (verdict !== "redirect") expect(Buffer.from(result.packet)).toEqual(packet);
    });
  }

  for (const program of ["from_pod", "to_overlay"] as const) {
    for (const [name, packet] of Object.entries(MALFORMED)) {
      test(`${program} drops ${name}`, () => {
        expect(run(program, packet)).toMatchObject({ verdict: "shot", drops: ["malformed"] });
      });
    }
  }

  test("from_pod counts the hop and keeps the checksum right for every time to live", () => {
    for (let hopLimit = 2; hopLimit <= 255; hopLimit++) {
      for (const [source, destination] of [
        [POD4, REMOTE4],
        [POD6, REMOTE6],
      ] as const) {
        const packet = ipPacket({ source, destination, hopLimit });
        const result = run("from_pod", packet);
        expect(hopLimitOf(result.packet)).toBe(hopLimit - 1);
        if (source === POD4) expect(hasValidChecksum(result.packet)).toBe(true);
        else expect(Buffer.from(result.packet)).toEqual(withBytes(packet, 7, [hopLimit - 1]));
      }
    }
  });

  test("from_pod and to_overlay drop with one reason or leave damaged packets as they are", () => {
    const random = createRandom(20_261_121);
    const originals = [
      TO_REMOTE4,
      TO_REMOTE6,
      ARP,
      ipPacket({ source: OTHER_POD4, destination: REMOTE4 }),
      ipPacket({ source: POD6, destination: "fd09::1" }),
    ];
    const seen = new Set<string>();
    for (let i = 0; i < 4_000; i++) {
      const packet = damage(originals[i % originals.length] ?? ARP, random);
      const program = i % 2 === 0 ? "from_pod" : "to_overlay";
      const { verdict, drops, packet: out } = run(program, packet);
      const context = `${program} ${packet.toString("hex")}`;
      if (verdict === "shot") expect([context, drops.length]).toEqual([context, 1]);
      else if (drops.length > 0) expect([context, drops]).toEqual([context, ["ttlExceeded"]]);
      if (verdict === "redirect")
        expect([context, onlyHopDiffers(packet, out)]).toEqual([context, true]);
      else expect([context, packet.equals(out)]).toEqual([context, true]);
      seen.add(`${program} ${verdict} ${drops[0] ?? ""}`);
    }
    // The damage was of use: every way through the programs was taken.
    for (const way of [
      "from_pod redirect ",
      "from_pod ok ",
      "from_pod shot malformed",
      "from_pod shot sourceSpoofed",
      "to_overlay ok ",
      "to_overlay shot malformed",
      "to_overlay shot noTunnelEndpoint",
      "to_overlay shot notIp",
    ])
      expect(seen).toContain(way);
  });
});

/** Some bytes behind the Ethernet header changed, and sometimes some of the payload cut off. */
function damage(original: Buffer, random: () => number): Buffer {
  const packet = Buffer.from(original);
  for (let changes = random() % 4; changes > 0; changes--)
    packet[14 + (random() % (packet.length - 14))] = random() % 256;
  const cut = random() % 3 === 0 ? random() % PAYLOAD_BYTES : 0;
  return packet.subarray(0, packet.length - cut);
}

function onlyHopDiffers(before: Buffer, after: Uint8Array): boolean {
  const hop = isIpv4(before) ? [22, 24, 25] : [21];
  return (
    before.length === after.length &&
    before.every((byte, i) => hop.includes(i) || byte === after[i])
  );
}
