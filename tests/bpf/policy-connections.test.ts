// Connections: replies, errors about them, fragments, what a change of policy or identity does to
// them, TCP's states, and when they are forgotten.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { collectConnections } from "../../bpf/connections.ts";
import { ConnectionState, PolicyMode, TrafficDirection } from "../../bpf/gen/layout.ts";
import type { PolicyRow } from "../../bpf/policy-maps.ts";
import { fragmentPacket, ICMP, icmpError, icmpMessage, SCTP, sctpPacket } from "./odd-packets.ts";
import { ipPacket, PROTOCOL, TCP_FLAG, tcpSegment, udpDatagram, withBytes } from "./packet.ts";
import {
  AGGREGATE,
  createPolicySite,
  egress,
  FAMILIES,
  IDENTITY,
  ingress,
  type Outcome,
  type Peers,
  type PolicySite,
} from "./policy-site.ts";
import { SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

let site: PolicySite;

beforeAll(async () => {
  site = await createPolicySite();
});

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  site.setMode(PolicyMode.closed);
  site.forgetConnections();
});

type Ports = readonly [number, number];
const THERE: Ports = [40_000, 8080];
const BACK: Ports = [8080, 40_000];

function reasonOf({ verdict, drops }: Outcome): string {
  return verdict === "shot" ? drops.join() : "passes";
}

for (const [family, peers] of Object.entries(FAMILIES) as [keyof typeof FAMILIES, Peers][]) {
  describe(`connections over ${family}`, () => {
    const { pod, own } = peers;
    const { protocol: icmp, echo, reply, unreachable } = ICMP[family];
    const out = (payload: Buffer, protocol: number = PROTOCOL.tcp): Buffer =>
      ipPacket({ source: pod, destination: own, protocol, payload });
    const back = (payload: Buffer, protocol: number = PROTOCOL.tcp, source = own): Buffer =>
      ipPacket({ source, destination: pod, protocol, payload });
    const segment = (ports: Ports, flags: number): Buffer =>
      tcpSegment({ ports, sequence: 1, flags });
    const send = (payload: Buffer, protocol?: number): string =>
      reasonOf(site.send(out(payload, protocol)));
    const receive = (payload: Buffer, protocol?: number): string =>
      reasonOf(site.receive(back(payload, protocol)));
    const state = (): number | undefined => site.connections()[0]?.state;
    const toOwn: readonly PolicyRow[] = [egress.allow({ identity: IDENTITY.own })];
    const { syn, ack, fin, rst } = TCP_FLAG;

    for (const [name, protocol, question, answer, other] of [
      [
        "TCP",
        PROTOCOL.tcp,
        segment(THERE, syn),
        segment(BACK, syn | ack),
        segment([8081, 40_000], ack),
      ],
      ["UDP", PROTOCOL.udp, udpDatagram(THERE), udpDatagram(BACK), udpDatagram([8080, 40_001])],
      ["SCTP", SCTP, sctpPacket(THERE), sctpPacket(BACK), sctpPacket([8081, 40_000])],
      [
        "echo",
        icmp,
        icmpMessage(echo, { identifier: 5 }),
        icmpMessage(reply, { identifier: 5 }),
        icmpMessage(reply, { identifier: 6 }),
      ],
    ] as const) {
      test(`an answer over ${name} comes in, and nothing else does`, () => {
        site.enforce(toOwn);
        expect(receive(answer, protocol)).toBe("policyDenied");
        expect(send(question, protocol)).toBe("passes");
        expect(receive(answer, protocol)).toBe("passes");
        expect(receive(other, protocol)).toBe("policyDenied");
        expect(reasonOf(site.receive(back(answer, protocol, peers.foreign)))).toBe("policyDenied");
        expect(site.connections()).toHaveLength(1);
        expect(site.connections()[0]).toMatchObject({
          direction: TrafficDirection.egress,
          state: ConnectionState.open,
          sentPackets: 1n,
          receivedPackets: 1n,
          remoteIdentity: IDENTITY.own,
          rule: 7,
        });
      });

      test(`an answer over ${name} goes out, and nothing else does`, () => {
        site.enforce([ingress.allow({ identity: IDENTITY.own })]);
        expect(send(answer, protocol)).toBe("policyDenied");
        expect(receive(question, protocol)).toBe("passes");
        expect(send(answer, protocol)).toBe("passes");
        expect(send(other, protocol)).toBe("policyDenied");
      });
    }

    test("a single message opens no way back", () => {
      const { other } = ICMP[family];
      site.enforce(toOwn);
      expect(send(icmpMessage(other), icmp)).toBe("passes");
      expect(receive(icmpMessage(other + 1), icmp)).toBe("policyDenied");
      expect(receive(icmpMessage(other), icmp)).toBe("policyDenied");
    });

    test("who was asked may not ask by the same ports", () => {
      site.enforce(toOwn);
      expect(send(segment(THERE, syn))).toBe("passes");
      expect(receive(segment(BACK, syn | ack))).toBe("passes");
      expect(receive(segment(BACK, syn))).toBe("policyDenied");
      expect(receive(segment(BACK, ack))).toBe("passes");
    });

    test("TCP opens, closes by both sides' FIN, and begins again with a SYN", () => {
      site.enforce(toOwn);
      const states = [
        () => send(segment(THERE, syn)),
        () => receive(segment(BACK, syn | ack)),
        () => send(segment(THERE, ack)),
        () => send(segment(THERE, fin | ack)),
        () => receive(segment(BACK, ack)),
        () => receive(segment(BACK, fin | ack)),
        () => send(segment(THERE, ack)),
        () => send(segment(THERE, syn)),
      ].map((step) => {
        expect(step()).toBe("passes");
        return state();
      });
      const { opening, open, closing, closed } = ConnectionState;
      expect(states).toEqual([opening, open, open, closing, closing, closed, closed, opening]);
    });

    test("a SYN after the sender's own FIN begins another connection", () => {
      site.enforce(toOwn);
      send(segment(THERE, syn));
      receive(segment(BACK, syn | ack));
      send(segment(THERE, fin | ack));
      expect(send(segment(THERE, syn))).toBe("passes");
      expect(site.connections()).toMatchObject([
        { state: ConnectionState.opening, sentPackets: 1n, receivedPackets: 0n },
      ]);
    });

    test("a reset closes, and a closed connection is none for a SYN that is not allowed", () => {
      site.enforce(toOwn);
      send(segment(THERE, syn));
      expect(receive(segment(BACK, rst | ack))).toBe("passes");
      expect(state()).toBe(ConnectionState.closed);
      site.enforce([]);
      expect(send(segment(THERE, syn))).toBe("policyDenied");
      expect(site.connections()).toEqual([]);
      // A reset that belongs to nothing opens nothing.
      site.enforce(toOwn);
      expect(send(segment(THERE, rst))).toBe("passes");
      expect(site.connections()).toEqual([]);
    });

    test("what we see the middle of is judged like a beginning", () => {
      site.enforce(toOwn);
      expect(receive(segment(BACK, ack))).toBe("policyDenied");
      expect(send(segment(THERE, ack))).toBe("passes");
      expect(state()).toBe(ConnectionState.open);
      expect(receive(segment(BACK, ack))).toBe("passes");
    });

    test("another revision judges again, by the opener's direction and port", () => {
      site.enforce(toOwn);
      send(segment(THERE, syn));
      receive(segment(BACK, syn | ack));
      const again = site.count("connectionJudgedAgain");
      site.enforce([egress.allow({ identity: IDENTITY.own, protocol: 6, port: 8080, rule: 8 })]);
      expect(receive(segment(BACK, ack))).toBe("passes");
      expect(send(segment(THERE, ack))).toBe("passes");
      expect(site.count("connectionJudgedAgain")).toBe(again + 1n);
      expect(site.connections()[0]).toMatchObject({ rule: 8, receivedPackets: 2n });
      // A reply is cut as well, and so is what comes behind it.
      site.enforce([egress.allow({ identity: IDENTITY.own, protocol: 6, port: 8081 })]);
      const cut = site.count("connectionCut");
      expect(receive(segment(BACK, ack))).toBe("policyDenied");
      expect(site.count("connectionCut")).toBe(cut + 1n);
      expect(site.connections()).toEqual([]);
      expect(send(segment(THERE, ack))).toBe("policyDenied");
    });

    test("what came in is judged again as what came in", () => {
      site.enforce([ingress.allow({ identity: IDENTITY.own, protocol: 6, port: 8080 })]);
      expect(receive(segment(THERE, syn))).toBe("passes");
      site.enforce([
        ingress.allow({ identity: IDENTITY.own, protocol: 6, port: 8080 }),
        egress.deny({ identity: AGGREGATE.anybody }),
      ]);
      expect(send(segment(BACK, syn | ack))).toBe("passes");
      site.enforce([egress.allow({ identity: AGGREGATE.anybody })]);
      expect(send(segment(BACK, ack))).toBe("policyDenied");
    });

    test("another identity at the other end is judged again", () => {
      site.enforce([
        ingress.allow({ identity: IDENTITY.own }),
        ingress.allow({ identity: 70_000 }),
      ]);
      const from = (identity: number, flags: number): string =>
        reasonOf(site.receive(back(segment(THERE, flags)), { mark: 0x5400_0000 | identity }));
      expect(from(IDENTITY.own, syn)).toBe("passes");
      expect(from(70_000, ack)).toBe("passes");
      expect(site.connections()[0]?.remoteIdentity).toBe(70_000);
      expect(from(70_001, ack)).toBe("policyDenied");
      expect(site.connections()).toEqual([]);
    });

    test("a row that knows only the pod's range does not contradict the pod's own node", () => {
      site.enforce([ingress.allow({ identity: IDENTITY.foreign })]);
      const packet = back(segment(THERE, syn), PROTOCOL.tcp, peers.unmanaged);
      expect(reasonOf(site.receive(packet, { mark: 0x5400_0000 | IDENTITY.foreign }))).toBe(
        "passes",
      );
      const answer = ipPacket({
        source: pod,
        destination: peers.unmanaged,
        protocol: PROTOCOL.tcp,
        payload: segment(BACK, syn | ack),
      });
      expect(reasonOf(site.send(answer))).toBe("passes");
      expect(site.connections()[0]?.remoteIdentity).toBe(IDENTITY.foreign);
    });

    test("an error about a connection comes in from any router, others do not", () => {
      site.enforce(toOwn);
      const questions = [
        out(segment(THERE, syn)),
        out(udpDatagram(THERE), PROTOCOL.udp),
        out(icmpMessage(echo, { identifier: 5 }), icmp),
      ];
      for (const question of questions) {
        const error = icmpError(question, { from: peers.world, to: pod, type: unreachable });
        expect(reasonOf(site.receive(error))).toBe("policyDenied");
        expect(reasonOf(site.send(question))).toBe("passes");
        expect(reasonOf(site.receive(error))).toBe("passes");
      }
      // It opens nothing, and quotes what was sent, not what was received.
      expect(site.connections()).toHaveLength(questions.length);
      const received = back(segment(BACK, ack));
      const error = icmpError(received, { from: peers.world, to: pod, type: unreachable });
      expect(reasonOf(site.receive(error))).toBe("policyDenied");
      // With the connection goes the right to it.
      site.enforce([]);
      const [first = received] = questions;
      expect(
        reasonOf(site.receive(icmpError(first, { from: peers.world, to: pod, type: unreachable }))),
      ).toBe("policyDenied");
    });

    test("an error about a connection goes out", () => {
      site.enforce([ingress.allow({ identity: IDENTITY.own })]);
      const question = back(udpDatagram(THERE), PROTOCOL.udp);
      const error = icmpError(question, { from: pod, to: own, type: unreachable });
      expect(reasonOf(site.send(error))).toBe("policyDenied");
      site.receive(question);
      expect(reasonOf(site.send(error))).toBe("passes");
    });

    test("a quotation that is cut short or no packet at all is none", () => {
      site.enforce(toOwn);
      const question = out(udpDatagram(THERE), PROTOCOL.udp);
      site.send(question);
      const error = icmpError(question, { from: own, to: pod, type: unreachable });
      const header = family === "IPv4" ? 20 : 40;
      for (const damaged of [
        withBytes(error, header + 8, [0]),
        withBytes(error, header + 8, [0x4f]),
        withBytes(error, header + 8 + header, [0, 0, 0, 0]),
      ])
        expect(reasonOf(site.receive(damaged))).toBe("policyDenied");
      expect(reasonOf(site.receive(error))).toBe("passes");
    });

    test("fragments share the fate of the first, and without it they are dropped", () => {
      const protocol = PROTOCOL.udp;
      const ends = { source: own, destination: pod, protocol } as const;
      const payload = Buffer.concat([udpDatagram(THERE), Buffer.alloc(8)]);
      const first = fragmentPacket({ ...ends, payload, offset: 0, more: true });
      const later = fragmentPacket({ ...ends, payload: Buffer.alloc(16), offset: 2, more: false });
      const other = fragmentPacket({
        ...ends,
        payload: Buffer.alloc(16),
        offset: 2,
        more: false,
        identification: 78,
      });
      site.enforce([ingress.allow({ identity: IDENTITY.own, protocol, port: 8080 })]);
      expect(reasonOf(site.receive(later))).toBe("fragment");
      expect(reasonOf(site.receive(first))).toBe("passes");
      expect(reasonOf(site.receive(later))).toBe("passes");
      expect(reasonOf(site.receive(other))).toBe("fragment");
      expect(site.connections()).toHaveLength(1);
      expect(site.connections()[0]).toMatchObject({ receivedPackets: 2n });
      site.enforce([]);
      expect(reasonOf(site.receive(first))).toBe("policyDenied");
      expect(reasonOf(site.receive(later))).toBe("policyDenied");
    });

    test("a first fragment without the whole header is dropped", () => {
      site.enforce(toOwn);
      const tiny = fragmentPacket({
        source: pod,
        destination: own,
        protocol: PROTOCOL.tcp,
        payload: segment(THERE, syn).subarray(0, 16),
        offset: 0,
        more: true,
      });
      expect(reasonOf(site.send(tiny))).toBe("malformed");
    });

    test("a large echo is told by its first fragment both ways", () => {
      site.enforce(toOwn);
      const part = (source: string, destination: string, type: number, offset: number): Buffer =>
        fragmentPacket({
          source,
          destination,
          protocol: icmp,
          offset,
          more: offset === 0,
          payload:
            offset === 0
              ? icmpMessage(type, { identifier: 5, payload: Buffer.alloc(8) })
              : Buffer.alloc(16),
        });
      for (const offset of [0, 2])
        expect(reasonOf(site.send(part(pod, own, echo, offset)))).toBe("passes");
      for (const offset of [0, 2])
        expect(reasonOf(site.receive(part(own, pod, reply, offset)))).toBe("passes");
      expect(site.connections()).toHaveLength(1);
    });

    test("what is over is collected", () => {
      site.enforce(toOwn);
      send(segment(THERE, syn));
      receive(segment(BACK, rst | ack));
      send(udpDatagram(THERE), PROTOCOL.udp);
      expect(collectConnections(site.bpfRoot)).toBe(0);
      age(11);
      expect(collectConnections(site.bpfRoot)).toBe(1);
      age(60);
      expect(collectConnections(site.bpfRoot)).toBe(1);
      expect(site.connections()).toEqual([]);
    });

    test("a connection that was silent for too long is none, collected or not", () => {
      site.enforce(toOwn);
      send(segment(THERE, syn));
      receive(segment(BACK, syn | ack));
      age(7_900);
      expect(receive(segment(BACK, ack))).toBe("passes");
      age(8_001);
      expect(receive(segment(BACK, ack))).toBe("policyDenied");
      expect(site.connections()).toEqual([]);
    });

    /** As if so many seconds had passed. */
    function age(seconds: number): void {
      const { connections } = site.datapath.maps;
      for (const [key, row] of connections.entries())
        connections.put(key, {
          ...row,
          lastSeenNs: row.lastSeenNs - BigInt(seconds) * 1_000_000_000n,
        });
    }
  });
}

test("a connection of an open node is judged when its pod gets a policy", () => {
  const { pod, own } = FAMILIES.IPv4;
  const packet = ipPacket({ source: pod, destination: own, payload: udpDatagram(THERE) });
  site.forgetState();
  site.setMode(PolicyMode.open);
  expect(reasonOf(site.send(packet))).toBe("passes");
  expect(reasonOf(site.send(packet))).toBe("passes");
  site.enforce([]);
  expect(reasonOf(site.send(packet))).toBe("policyDenied");
});
