// What a drill's faults do to packets that leave the node, through BPF_PROG_TEST_RUN: which are
// affected, for how long, and what a refusal looks like on the wire.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { join } from "node:path";
import { ipcacheKeyFromPrefix, mapAddressFromAddress } from "../../bpf/address.ts";
import { openDatapath, type Datapath } from "../../bpf/datapath.ts";
import { FaultDirection, type Fault } from "../../bpf/gen/layout.ts";
import { parseAddress, parsePrefix } from "../../mesh/core/address.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  echoMessage,
  hasValidChecksum,
  hasValidTransportChecksum,
  ipPacket,
  PROTOCOL,
  readIpPacket,
  TCP_FLAG,
  tcpSegment,
  udpDatagram,
  withBytes,
  withChecksumOfDevice,
} from "./packet.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { LOOPBACK_IFINDEX, runProgram, type TestRun } from "./test-run.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const EVERY_OTHER_NODE = 0;
const EAST = 2;
const WEST = 3;
const DEVIATIONS = 6;
/** Where TCP and UDP have their checksum: what a device would write there. */
const CHECKSUM_FIELD = { tcp: 16, udp: 6 } as const;
const FAMILIES = {
  IPv4: { pod: "10.1.0.2", neighbour: "10.1.0.3", east: "10.2.0.2", west: "10.3.0.2" },
  IPv6: { pod: "fd01::2", neighbour: "fd01::3", east: "fd02::2", west: "fd03::2" },
} as const;

let scratch: Scratch;
let datapath: Datapath;

beforeAll(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
  for (const [prefix, clusterId] of [
    ["10.2.0.0/16", EAST],
    ["fd02::/16", EAST],
    ["10.3.0.0/16", WEST],
    ["fd03::/16", WEST],
  ] as const)
    datapath.maps.ipcache.put(ipcacheKeyFromPrefix(parsePrefix(prefix)), {
      identity: 131_073,
      tunnelEndpoint: mapAddressFromAddress(parseAddress("192.0.2.2")),
      clusterId,
      encryptionKey: 0,
    });
  for (const { pod } of Object.values(FAMILIES))
    datapath.maps.endpoints.put(
      { address: mapAddressFromAddress(parseAddress(pod)) },
      { ifindex: LOOPBACK_IFINDEX, podMac: new Uint8Array(6), hostMac: new Uint8Array(6) },
    );
});

afterEach(() => {
  for (const peer of [EVERY_OTHER_NODE, EAST, WEST])
    setFault(peer, { expiresNs: 0n, directions: FaultDirection.nowhere });
});

afterAll(async () => {
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

/** All flows, both ways, for an hour, unless told otherwise. */
function setFault(peer: number, fields: Partial<Fault>): void {
  datapath.maps.faults.put(peer, {
    expiresNs: process.hrtime.bigint() + 3_600_000_000_000n,
    packets: 0n,
    drill: 7,
    seed: 1,
    slowPriority: 0,
    directions: FaultDirection.bothWays,
    flowPercent: 100,
    dropPercent: 0,
    refuse: 0,
    ...fields,
  });
}

function affected(peer: number): bigint | undefined {
  return datapath.maps.faults.get(peer)?.packets;
}

function injected(): bigint {
  return datapath.maps.drops.read().get("faultInjected") ?? 0n;
}

function run(program: "from_pod" | "to_overlay", packet: Buffer): TestRun {
  return runProgram(join(scratch.bpfRoot, "programs", program), packet);
}

for (const [family, { pod, neighbour, east, west }] of Object.entries(FAMILIES)) {
  const toEast = ipPacket({ source: pod, destination: east, payload: udpDatagram([5000, 53]) });
  const toWest = ipPacket({ source: pod, destination: west, payload: udpDatagram([5000, 53]) });

  describe(`faults in ${family}`, () => {
    test("drop what goes to the cluster and nothing else", () => {
      setFault(EAST, { dropPercent: 100 });
      const before = injected();
      expect(run("from_pod", toEast).verdict).toBe("shot");
      expect(run("to_overlay", toEast).verdict).toBe("shot");
      expect(injected()).toBe(before + 2n);
      expect(affected(EAST)).toBe(2n);
      expect(run("from_pod", toWest).verdict).toBe("redirect");
      expect(run("to_overlay", toWest).verdict).toBe("ok");
      const toNeighbour = ipPacket({ source: pod, destination: neighbour });
      expect(run("from_pod", toNeighbour).verdict).toBe("ok");
    });

    test("swallow probes as well", () => {
      setFault(EAST, { dropPercent: 100 });
      const v6 = family === "IPv6";
      const payload = echoMessage(v6 ? 128 : 8, Buffer.alloc(24));
      const protocol = v6 ? PROTOCOL.icmpv6 : PROTOCOL.icmp;
      const probe = ipPacket({ source: pod, destination: east, protocol, payload });
      expect(run("to_overlay", probe).verdict).toBe("shot");
      setFault(EAST, { refuse: 1 });
      expect(run("to_overlay", probe)).toMatchObject({ verdict: "shot" });
      setFault(EAST, {});
      expect(run("to_overlay", probe).verdict).toBe("ok");
    });

    test("of row 0 are about every node of another, but a row of the cluster's own counts first", () => {
      setFault(EVERY_OTHER_NODE, { dropPercent: 100 });
      setFault(EAST, { slowPriority: 9 });
      expect(run("from_pod", toWest).verdict).toBe("shot");
      expect(run("from_pod", toEast)).toMatchObject({ verdict: "redirect", priority: 9 });
      expect([affected(EVERY_OTHER_NODE), affected(EAST)]).toEqual([1n, 1n]);
      const toNeighbour = ipPacket({ source: pod, destination: neighbour });
      expect(run("from_pod", toNeighbour).verdict).toBe("ok");
    });

    test("in the other direction leave the packet alone", () => {
      setFault(EAST, { dropPercent: 100, directions: FaultDirection.inbound });
      expect(run("from_pod", toEast)).toMatchObject({ verdict: "redirect", priority: 0 });
      setFault(EAST, { dropPercent: 100, directions: FaultDirection.outbound });
      expect(run("from_pod", toEast).verdict).toBe("shot");
    });

    test("end by the kernel's clock, without anybody's help", async () => {
      const expiresNs = process.hrtime.bigint() + 300_000_000n;
      setFault(EAST, { dropPercent: 100, expiresNs });
      expect(run("from_pod", toEast).verdict).toBe("shot");
      await eventually(() => run("from_pod", toEast).verdict === "redirect");
      expect(process.hrtime.bigint()).toBeGreaterThanOrEqual(expiresNs);
    });

    test("take a share of the flows, each one wholly and in both directions", () => {
      const flows = 300;
      const chosenBy = (seed: number, protocol: number): boolean[] => {
        setFault(EVERY_OTHER_NODE, { dropPercent: 100, flowPercent: 50, seed });
        return Array.from({ length: flows }, (_, i) => {
          const there = ipPacket({
            source: west,
            destination: east,
            protocol,
            payload: tcpSegment({ ports: [1024 + i, 80], sequence: i }),
          });
          const back = ipPacket({
            source: east,
            destination: west,
            protocol,
            payload: tcpSegment({ ports: [80, 1024 + i], sequence: i, acknowledged: 1 }),
          });
          const verdicts = [there, back, there].map((packet) => run("to_overlay", packet).verdict);
          expect(new Set(verdicts).size).toBe(1);
          return verdicts[0] === "shot";
        });
      };
      const first = chosenBy(1, PROTOCOL.tcp);
      const share = first.filter((chosen) => chosen).length;
      expect(Math.abs(share - flows / 2)).toBeLessThan((DEVIATIONS * Math.sqrt(flows)) / 2);
      expect(chosenBy(1, PROTOCOL.tcp)).toEqual(first);
      expect(chosenBy(2, PROTOCOL.tcp)).not.toEqual(first);
      expect(chosenBy(1, PROTOCOL.udp)).not.toEqual(first);
    });

    test("thin the packets of a flow at random", () => {
      setFault(EAST, { dropPercent: 30 });
      const packets = 1000;
      let dropped = 0;
      for (let i = 0; i < packets; i++)
        if (run("from_pod", toEast).verdict === "shot") dropped += 1;
      const deviation = Math.sqrt(packets * 0.3 * 0.7);
      expect(Math.abs(dropped - packets * 0.3)).toBeLessThan(DEVIATIONS * deviation);
      expect(affected(EAST)).toBe(BigInt(dropped));
    });

    for (const program of ["from_pod", "to_overlay"] as const) {
      const refuse = (protocol: number, payload: Buffer): TestRun => {
        setFault(EAST, { refuse: 1 });
        return run(program, ipPacket({ source: pod, destination: east, protocol, payload }));
      };

      test(`${program} refuses TCP with a reset that its sender believes`, () => {
        const ports = [40_000, 443] as const;
        const cases = [
          {
            asked: { ports, sequence: 0xffff_ffff, flags: TCP_FLAG.syn },
            answer: { sequence: 0, acknowledged: 0, flags: TCP_FLAG.rst | TCP_FLAG.ack },
          },
          {
            asked: { ports, sequence: 1000, acknowledged: 77_777, data: "hello" },
            answer: { sequence: 77_777, acknowledged: 0, flags: TCP_FLAG.rst },
          },
          {
            asked: { ports, sequence: 1000, data: "hello", flags: TCP_FLAG.fin },
            answer: { sequence: 0, acknowledged: 1006, flags: TCP_FLAG.rst | TCP_FLAG.ack },
          },
        ];
        for (const { asked, answer } of cases) {
          const { verdict, packet } = refuse(PROTOCOL.tcp, tcpSegment(asked));
          expect(verdict).toBe("redirect");
          const { payload, ...rest } = readIpPacket(packet);
          expect(rest).toEqual({ source: east, destination: pod, protocol: PROTOCOL.tcp });
          expect([payload.readUInt16BE(0), payload.readUInt16BE(2)]).toEqual([443, 40_000]);
          expect({
            sequence: payload.readUInt32BE(4),
            acknowledged: payload.readUInt32BE(8),
            flags: payload[13],
          }).toEqual(answer);
          expect(payload).toHaveLength(20);
          expectValidChecksums(packet, CHECKSUM_FIELD.tcp);
        }
      });

      test(`${program} refuses UDP with port unreachable`, () => {
        const asked = udpDatagram([5000, 53], "a question that is longer than its answer");
        for (const datagram of [asked, udpDatagram([5000, 53])]) {
          const { verdict, packet } = refuse(PROTOCOL.udp, datagram);
          expect(verdict).toBe("redirect");
          const { payload, ...rest } = readIpPacket(packet);
          const v6 = family === "IPv6";
          const protocol = v6 ? PROTOCOL.icmpv6 : PROTOCOL.icmp;
          expect(rest).toEqual({ source: east, destination: pod, protocol });
          expect([payload[0], payload[1]]).toEqual(v6 ? [1, 4] : [3, 3]);
          const original = ipPacket({ source: pod, destination: east, payload: datagram });
          const quoted = original.subarray(14, 14 + (v6 ? 48 : 28));
          expect(payload.subarray(8)).toEqual(quoted);
          expectValidChecksums(packet, CHECKSUM_FIELD.udp);
        }
      });

      test(`${program} drops what nobody refuses, and counts it`, () => {
        const before = injected();
        const reset = tcpSegment({ ports: [1, 2], sequence: 0, flags: TCP_FLAG.rst });
        expect(refuse(PROTOCOL.tcp, reset).verdict).toBe("shot");
        const cutShort = tcpSegment({ ports: [1, 2], sequence: 0 }).subarray(0, 12);
        expect(refuse(PROTOCOL.tcp, cutShort).verdict).toBe("shot");
        expect(refuse(132, Buffer.alloc(12)).verdict).toBe("shot");
        expect(injected()).toBe(before + 3n);
        if (family !== "IPv4") return;
        const fragment = withBytes(toEast, 6, [0x20, 0]);
        expect(run(program, fragment).verdict).toBe("shot");
      });
    }
  });
}

/** As it stands, and after a device has written the checksum that the kernel owed the packet. */
function expectValidChecksums(packet: Uint8Array, field: number): void {
  for (const sealed of [packet, withChecksumOfDevice(packet, field)]) {
    if (sealed[12] === 0x08) expect(hasValidChecksum(sealed)).toBe(true);
    expect(hasValidTransportChecksum(sealed)).toBe(true);
  }
}
