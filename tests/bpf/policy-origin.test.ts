// Who a pod may be: its own addresses only, with and without policies, and never a node's end of
// the overlay. Then packets at random: whatever they are, they pass or are dropped for one reason.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { PolicyMode } from "../../bpf/gen/layout.ts";
import {
  extendedPacket,
  fragmentPacket,
  HEADER,
  ICMP,
  icmpError,
  icmpMessage,
  SCTP,
  sctpPacket,
} from "./odd-packets.ts";
import { ipPacket, PROTOCOL, TCP_FLAG, tcpSegment, udpDatagram, withBytes } from "./packet.ts";
import {
  createPolicySite,
  egress,
  EVERYTHING,
  FAMILIES,
  IDENTITY,
  ingress,
  type Outcome,
  type Peers,
  type PolicySite,
} from "./policy-site.ts";
import { createRandom } from "./random.ts";
import { SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const OVERLAY_PORT = 8472;

let site: PolicySite;

beforeAll(async () => {
  site = await createPolicySite();
});

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  site.forgetConnections();
  site.enforce(EVERYTHING);
});

function reasonOf({ verdict, drops }: Outcome): string {
  return verdict === "shot" ? drops.join() : "passes";
}

for (const [family, peers] of Object.entries(FAMILIES) as [keyof typeof FAMILIES, Peers][]) {
  for (const [mode, number] of Object.entries(PolicyMode)) {
    describe(`${family} from a pod, with policy ${mode}`, () => {
      beforeEach(() => site.setMode(number));

      for (const [who, address] of Object.entries(peers)) {
        if (who === "pod") continue;
        test(`the address of ${who} is not its own`, () => {
          for (const destination of [peers.world, peers.foreign, peers.neighbour])
            expect(reasonOf(site.send(ipPacket({ source: address, destination })))).toBe(
              "sourceSpoofed",
            );
        });
      }

      test("no node's end of the overlay is for a pod", () => {
        const to = (destination: string, port: number, protocol: number = PROTOCOL.udp): string =>
          reasonOf(
            site.send(
              ipPacket({
                source: peers.pod,
                destination,
                protocol,
                payload:
                  protocol === PROTOCOL.udp
                    ? udpDatagram([5000, port], "what pretends to be a pod")
                    : tcpSegment({ ports: [5000, port], sequence: 1, flags: TCP_FLAG.syn }),
              }),
            ),
          );
        for (const node of [peers.host, peers.node]) {
          expect(to(node, OVERLAY_PORT)).toBe("overlayForged");
          expect(to(node, OVERLAY_PORT + 1)).toBe("passes");
          expect(to(node, OVERLAY_PORT, PROTOCOL.tcp)).toBe("passes");
          const first = fragmentPacket({
            source: peers.pod,
            destination: node,
            protocol: PROTOCOL.udp,
            payload: udpDatagram([5000, OVERLAY_PORT], "01234567"),
            offset: 0,
            more: true,
          });
          expect(reasonOf(site.send(first))).toBe("overlayForged");
        }
        expect(to(peers.world, OVERLAY_PORT)).toBe("passes");
      });
    });
  }
}

test("extension headers hide no port", () => {
  const { pod, node } = FAMILIES.IPv6;
  for (const mode of Object.values(PolicyMode)) {
    site.setMode(mode);
    const packet = (count: number): Buffer =>
      extendedPacket(
        { source: pod, destination: node },
        {
          headers: Array<number>(count).fill(HEADER.hopByHop),
          protocol: PROTOCOL.udp,
          payload: udpDatagram([5000, OVERLAY_PORT]),
        },
      );
    expect(reasonOf(site.send(packet(1)))).toBe("overlayForged");
    expect(reasonOf(site.send(packet(9)))).toBe("headerChain");
  }
});

describe("packets at random", () => {
  const SEED = 20_261_122;
  const ROUNDS = 6_000;

  for (const mode of ["closed", "off"] as const) {
    test(`pass as they are or are dropped for one reason (policy ${mode}, seed ${SEED})`, () => {
      const random = createRandom(SEED);
      site.setMode(PolicyMode[mode]);
      site.enforce([
        ingress.allow({ identity: IDENTITY.own, protocol: PROTOCOL.tcp }),
        ingress.allow({ identity: IDENTITY.own, protocol: PROTOCOL.udp, port: 8080 }),
        egress.allow({ identity: IDENTITY.foreign }),
        egress.deny({ identity: IDENTITY.foreign, protocol: PROTOCOL.tcp, port: 8081 }),
        egress.allow({ identity: IDENTITY.host }),
      ]);
      const seen = new Set<string>();
      const originals = [...samplePackets()];
      for (let i = 0; i < ROUNDS; i++) {
        const packet = damage(originals[random() % originals.length] ?? Buffer.alloc(64), random);
        const sent = random() % 2 === 0;
        let outcome: Outcome;
        try {
          outcome = sent ? site.send(packet) : site.receive(packet);
        } catch {
          continue; // The kernel itself refuses what has no IP header.
        }
        const { verdict, drops, packet: after, records } = outcome;
        const context = `${sent ? "from_pod" : "to_pod"} ${packet.toString("hex")}`;
        if (verdict === "shot") expect([context, drops.length]).toEqual([context, 1]);
        else expect([context, verdict]).toEqual([context, verdict === "redirect" ? verdict : "ok"]);
        if (verdict === "ok") expect([context, packet.equals(after)]).toEqual([context, true]);
        expect([context, mode === "closed" || records.length === 0]).toEqual([context, true]);
        seen.add(`${sent ? "from_pod" : "to_pod"} ${verdict} ${drops[0] ?? ""}`);
      }
      process.stderr.write(`seed ${SEED}, policy ${mode}: ${[...seen].sort(byText).join(", ")}\n`);
      const closedWays = [
        "from_pod shot policyDenied",
        "from_pod shot policyDenyRule",
        "from_pod shot fragment",
        "from_pod shot headerChain",
        "from_pod shot malformed",
        "from_pod shot overlayForged",
        "from_pod shot sourceSpoofed",
        "from_pod redirect ",
        "to_pod shot policyDenied",
        "to_pod shot fragment",
        "to_pod shot headerChain",
        "to_pod shot malformed",
        "to_pod ok ",
      ];
      const offWays = ["from_pod shot sourceSpoofed", "from_pod shot overlayForged", "to_pod ok "];
      for (const way of mode === "closed" ? closedWays : offWays) expect(seen).toContain(way);
    });
  }

  function* samplePackets(): Generator<Buffer> {
    for (const [family, peers] of Object.entries(FAMILIES) as [keyof typeof FAMILIES, Peers][]) {
      const { protocol: icmp, echo, reply, unreachable } = ICMP[family];
      for (const [source, destination] of [
        [peers.pod, peers.foreign],
        [peers.pod, peers.host],
        [peers.foreign, peers.pod],
        [peers.own, peers.pod],
      ] as const) {
        const ends = { source, destination };
        for (const port of [8080, 8081, OVERLAY_PORT]) {
          const payload = udpDatagram([4000, port], "payload payload");
          yield ipPacket({ ...ends, payload });
          const flags = TCP_FLAG.syn;
          const segment = tcpSegment({ ports: [4000, port], sequence: 1, flags });
          yield ipPacket({ ...ends, protocol: PROTOCOL.tcp, payload: segment });
        }
        yield ipPacket({ ...ends, protocol: SCTP, payload: sctpPacket([4000, 8080]) });
        for (const type of [echo, reply])
          yield ipPacket({
            ...ends,
            protocol: icmp,
            payload: icmpMessage(type, { identifier: 4 }),
          });
        const quoted = ipPacket({ source: destination, destination: source });
        yield icmpError(quoted, { from: source, to: destination, type: unreachable });
        for (const offset of [0, 3]) {
          const payload = udpDatagram([4000, 8080], "0123456789abcdef");
          const place = { offset, more: offset === 0 };
          yield fragmentPacket({ ...ends, protocol: PROTOCOL.udp, payload, ...place });
        }
        if (family === "IPv6")
          for (const count of [1, 5, 9])
            yield extendedPacket(ends, {
              headers: Array<number>(count).fill(HEADER.hopByHop),
              protocol: PROTOCOL.udp,
              payload: udpDatagram([4000, 8080], "payload"),
            });
      }
    }
  }
});

/** Some bytes changed, and sometimes the end cut off with the lengths set right again. */
function damage(original: Buffer, random: () => number): Buffer {
  let packet: Buffer = Buffer.from(original);
  for (let changes = random() % 4; changes > 0; changes--)
    packet[14 + (random() % (packet.length - 14))] = random() % 256;
  if (random() % 3 !== 0) return packet;
  packet = packet.subarray(0, packet.length - (random() % 30));
  if (random() % 2 === 0 || packet.length < 60) return packet;
  const ip = packet.length - 14;
  const ipv4 = packet[12] === 0x08;
  const length = ipv4 ? ip : ip - 40;
  return withBytes(packet, ipv4 ? 2 : 4, [length >> 8, length & 0xff]);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
