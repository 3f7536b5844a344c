// What policies make of a connection's first packet: each rule of precedence, both directions and
// families, every protocol that has ports and those that have none.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { PolicyEnforcement, PolicyMode } from "../../bpf/gen/layout.ts";
import type { PolicyRow } from "../../bpf/policy-maps.ts";
import { GRE, ICMP, icmpMessage, SCTP, sctpPacket } from "./odd-packets.ts";
import {
  ETHER_TYPE,
  ethernetPacket,
  ipPacket,
  PROTOCOL,
  TCP_FLAG,
  tcpSegment,
  udpDatagram,
} from "./packet.ts";
import {
  AGGREGATE,
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

const SYN = tcpSegment({ ports: [40_000, 8080], sequence: 1, flags: TCP_FLAG.syn });

type Direction = "ingress" | "egress";

/** A first packet to port 8080 over TCP, unless told otherwise. */
function ask(
  { pod, ...peers }: Peers,
  peer: Exclude<keyof Peers, "pod">,
  {
    direction,
    protocol = PROTOCOL.tcp,
    payload = SYN,
    mark,
  }: { direction: Direction; protocol?: number; payload?: Buffer; mark?: number },
): Outcome {
  const remote = peers[peer];
  if (direction === "egress")
    return site.send(ipPacket({ source: pod, destination: remote, protocol, payload }));
  const packet = ipPacket({ source: remote, destination: pod, protocol, payload });
  return site.receive(packet, mark === undefined ? {} : { mark });
}

/** "allow 7" by rule 7, or the reason. */
function answerOf({ verdict, drops, records }: Outcome): string {
  const rule = records[0]?.rule;
  return verdict === "shot" ? `${drops.join()} ${rule}` : `allow ${rule}`;
}

interface Case {
  readonly rows: readonly PolicyRow[];
  readonly peer?: Exclude<keyof Peers, "pod">;
  readonly answer: string;
}

function casesOf(direction: Direction): Record<string, Case> {
  const { allow, deny } = direction === "ingress" ? ingress : egress;
  const other = direction === "ingress" ? egress : ingress;
  const tcp = { protocol: PROTOCOL.tcp } as const;
  const { own } = IDENTITY;
  return {
    "nothing allows": { rows: [], answer: "policyDenied 0" },
    "the other direction's rules": {
      rows: [other.allow({ identity: AGGREGATE.anybody })],
      answer: "policyDenied 0",
    },
    "anybody may": { rows: [allow({ identity: 0, rule: 3 })], answer: "allow 3" },
    "this identity may": { rows: [allow({ identity: own, rule: 3 })], answer: "allow 3" },
    "another identity may": { rows: [allow({ identity: own + 1 })], answer: "policyDenied 0" },
    "any port of the protocol": { rows: [allow({ identity: own, ...tcp })], answer: "allow 7" },
    "another protocol": {
      rows: [allow({ identity: own, protocol: PROTOCOL.udp })],
      answer: "policyDenied 0",
    },
    "the port": { rows: [allow({ identity: own, ...tcp, port: 8080 })], answer: "allow 7" },
    "another port": {
      rows: [allow({ identity: own, ...tcp, port: 8081 })],
      answer: "policyDenied 0",
    },
    "a prefix of ports": {
      rows: [allow({ identity: own, ...tcp, port: [8064, 11] })],
      answer: "allow 7",
    },
    "a prefix of other ports": {
      rows: [allow({ identity: own, ...tcp, port: [8096, 11] })],
      answer: "policyDenied 0",
    },
    "a deny of the port within an allow of the protocol": {
      rows: [
        allow({ identity: own, ...tcp }),
        deny({ identity: own, ...tcp, port: 8080, rule: 9 }),
      ],
      answer: "policyDenyRule 9",
    },
    "a deny for anybody before an allow for the identity": {
      rows: [allow({ identity: own, ...tcp, port: 8080 }), deny({ identity: 0, rule: 9 })],
      answer: "policyDenyRule 9",
    },
    "a deny for the identity before an allow for anybody": {
      rows: [allow({ identity: 0 }), deny({ identity: own, ...tcp, rule: 9 })],
      answer: "policyDenyRule 9",
    },
    "a deny for the aggregate before both": {
      rows: [
        allow({ identity: 0 }),
        allow({ identity: own }),
        deny({ identity: AGGREGATE.cluster, rule: 9 }),
      ],
      answer: "policyDenyRule 9",
    },
    "the own cluster's pods": {
      rows: [allow({ identity: AGGREGATE.cluster, rule: 4 })],
      answer: "allow 4",
    },
    "the rule of the narrowest plane is named": {
      rows: [
        allow({ identity: 0, rule: 1 }),
        allow({ identity: AGGREGATE.cluster, rule: 2 }),
        allow({ identity: own, rule: 3 }),
      ],
      answer: "allow 3",
    },
    "other clusters' pods may": {
      rows: [allow({ identity: AGGREGATE.clustermesh })],
      answer: "policyDenied 0",
    },
    "other clusters' pods may, and it is one": {
      rows: [allow({ identity: AGGREGATE.clustermesh })],
      peer: "foreign",
      answer: "allow 7",
    },
    "the own cluster's may, and it is another's": {
      rows: [allow({ identity: AGGREGATE.cluster })],
      peer: "foreign",
      answer: "policyDenied 0",
    },
    "the world may, and it is the world": {
      rows: [allow({ identity: AGGREGATE.world })],
      peer: "world",
      answer: "allow 7",
    },
    "the world may, and it is of a named prefix": {
      rows: [allow({ identity: AGGREGATE.world })],
      peer: "prefix",
      answer: "allow 7",
    },
    "a named prefix may": {
      rows: [allow({ identity: IDENTITY.prefix })],
      peer: "prefix",
      answer: "allow 7",
    },
    "a named prefix may, and it is another's": {
      rows: [allow({ identity: IDENTITY.prefix })],
      peer: "world",
      answer: "policyDenied 0",
    },
    "the world may, and it is a pod": {
      rows: [allow({ identity: AGGREGATE.world })],
      answer: "policyDenied 0",
    },
    "the host is of no aggregate": {
      rows: [11, 12, 13].map((identity) => allow({ identity })),
      peer: "host",
      answer: "policyDenied 0",
    },
    "the host may": { rows: [allow({ identity: IDENTITY.host })], peer: "host", answer: "allow 7" },
    "other nodes may": {
      rows: [allow({ identity: IDENTITY.remoteNode })],
      peer: "node",
      answer: "allow 7",
    },
    "a pod that only its range tells of is of no aggregate": {
      rows: [11, 12, 13].map((identity) => allow({ identity })),
      peer: "unmanaged",
      answer: "policyDenied 0",
    },
    "a pod of this node that has no row in ipcache": {
      rows: [allow({ identity: own })],
      peer: "neighbour",
      answer: "allow 7",
    },
    "a pod of this node that has no identity yet": {
      rows: [allow({ identity: IDENTITY.init, rule: 2 })],
      peer: "unknownPod",
      answer: "allow 2",
    },
    "an entry of zeros allows nothing": {
      rows: [[allow({ identity: own })[0], { verdict: 0 as never, rule: 1 }]],
      answer: "policyDenied 0",
    },
  };
}

for (const [family, peers] of Object.entries(FAMILIES) as [keyof typeof FAMILIES, Peers][]) {
  for (const direction of ["ingress", "egress"] as const) {
    const { allow, deny } = direction === "ingress" ? ingress : egress;

    describe(`${direction} over ${family}`, () => {
      for (const [name, { rows, peer = "own", answer }] of Object.entries(casesOf(direction)))
        test(`${name}: ${answer}`, () => {
          site.enforce(rows);
          expect(answerOf(ask(peers, peer, { direction }))).toBe(answer);
        });

      test("an address without a row is the world of its family", () => {
        const world = family === "IPv4" ? IDENTITY.worldIpv4 : IDENTITY.worldIpv6;
        const otherWorld = family === "IPv4" ? IDENTITY.worldIpv6 : IDENTITY.worldIpv4;
        site.enforce([allow({ identity: world })]);
        expect(ask(peers, "world", { direction }).verdict).not.toBe("shot");
        site.enforce([allow({ identity: otherWorld }), allow({ identity: IDENTITY.world })]);
        expect(ask(peers, "world", { direction }).drops).toEqual(["policyDenied"]);
      });

      const { protocol: icmp, echo, other } = ICMP[family];
      for (const [name, protocol, payload, port] of [
        ["TCP", PROTOCOL.tcp, SYN, 8080],
        ["UDP", PROTOCOL.udp, udpDatagram([40_000, 8080]), 8080],
        ["SCTP", SCTP, sctpPacket([40_000, 8080]), 8080],
        ["an echo request", icmp, icmpMessage(echo, { identifier: 9 }), echo],
        ["another ICMP message", icmp, icmpMessage(other), other],
        ["a protocol without ports", GRE, Buffer.alloc(20), 0],
      ] as const) {
        test(`${name} is judged by its ${port === 8080 ? "port" : "type"}`, () => {
          const what = { direction, protocol, payload };
          site.enforce([allow({ identity: IDENTITY.own, protocol, port })]);
          expect(answerOf(ask(peers, "own", what))).toBe("allow 7");
          site.enforce([
            allow({ identity: IDENTITY.own, protocol }),
            deny({ identity: IDENTITY.own, protocol, port }),
          ]);
          expect(ask(peers, "own", what).drops).toEqual(["policyDenyRule"]);
          site.enforce([allow({ identity: IDENTITY.own, protocol, port: port + 1 })]);
          expect(ask(peers, "own", what).drops).toEqual(["policyDenied"]);
        });
      }

      test("closed until there is a policy, open where the cluster has none, off without engine", () => {
        site.enforce([]);
        site.forgetState();
        expect(answerOf(ask(peers, "own", { direction }))).toBe("policyPending 0");
        site.setMode(PolicyMode.open);
        expect(answerOf(ask(peers, "own", { direction }))).toBe("allow 0");
        site.setMode(PolicyMode.off);
        const { verdict, records } = ask(peers, "own", { direction });
        expect(verdict).not.toBe("shot");
        expect(records).toEqual([]);
      });

      test("a row counts in an open node too", () => {
        site.setMode(PolicyMode.open);
        site.enforce([]);
        expect(answerOf(ask(peers, "own", { direction }))).toBe("policyDenied 0");
      });

      test("a policy that does not fit closes, whatever stands in the map", () => {
        site.enforce(EVERYTHING);
        site.setState({ enforcement: PolicyEnforcement.closed });
        expect(answerOf(ask(peers, "own", { direction }))).toBe("policyOverflow 0");
      });

      test("a state without a map is no policy yet", () => {
        site.enforce(EVERYTHING);
        for (const ifindex of site.policies.endpoints()) site.policies.delete(ifindex);
        expect(answerOf(ask(peers, "own", { direction }))).toBe("policyPending 0");
      });
    });
  }

  test(`over ${family}, what the tunnel says of the sender counts, not the address's row`, () => {
    site.enforce([ingress.allow({ identity: IDENTITY.foreign })]);
    const from = (identity: number): Outcome =>
      ask(peers, "own", { direction: "ingress", mark: 0x5400_0000 | identity });
    expect(from(IDENTITY.foreign)).toMatchObject({ verdict: "ok", mark: 0 });
    site.forgetConnections();
    expect(from(IDENTITY.foreign + 1).drops).toEqual(["policyDenied"]);
    // A mark of somebody else's is left alone.
    expect(ask(peers, "foreign", { direction: "ingress", mark: 0x4000 })).toMatchObject({
      verdict: "ok",
      mark: 0x4000,
    });
  });
}

test("what is neither IP nor ARP passes no policy", () => {
  const other = ethernetPacket(0x88b5, Buffer.alloc(50));
  site.enforce(EVERYTHING);
  expect([site.send(other).drops, site.receive(other).drops]).toEqual([["notIp"], ["notIp"]]);
  site.setMode(PolicyMode.off);
  expect([site.send(other).verdict, site.receive(other).verdict]).toEqual(["ok", "ok"]);
});

test("an IPv6 packet with addresses that mean IPv4 is malformed", () => {
  site.enforce(EVERYTHING);
  const { pod, own } = FAMILIES.IPv4;
  const mapped = (address: string): string => `::ffff:${address}`;
  const payload = udpDatagram([4000, 8080]);
  const packet = ipPacket({ source: mapped(pod), destination: mapped(own), payload });
  expect(packet[12]).toBe(0x86);
  expect(site.send(packet).drops).toEqual(["malformed"]);
  const answer = ipPacket({ source: mapped(own), destination: mapped(pod), payload });
  expect(site.receive(answer).drops).toEqual(["malformed"]);
});

test("ARP, neighbour discovery and multicast listeners pass whatever the policy", () => {
  site.enforce([]);
  site.forgetState();
  const { pod } = FAMILIES.IPv6;
  const discovery = (source: string, destination: string, type: number, hopLimit: number): Buffer =>
    ipPacket({
      source,
      destination,
      hopLimit,
      protocol: PROTOCOL.icmpv6,
      payload: icmpMessage(type, { payload: Buffer.alloc(16) }),
    });
  const arp = ethernetPacket(ETHER_TYPE.arp, Buffer.alloc(28));
  expect([site.send(arp).verdict, site.receive(arp).verdict]).toEqual(["ok", "ok"]);
  for (const type of [133, 134, 135, 136, 137]) {
    for (const source of [pod, "fe80::2", "::"]) {
      expect(site.send(discovery(source, "ff02::1:ff00:1", type, 255)).verdict).toBe("ok");
      expect(site.receive(discovery("fe80::1", pod, type, 255)).verdict).toBe("ok");
    }
    // What was forwarded is not discovery, and somebody else's name is not for a pod to speak in.
    expect(site.receive(discovery("fe80::1", pod, type, 254)).drops).toEqual(["policyPending"]);
    expect(site.send(discovery("fd01::3", "ff02::1", type, 255)).drops).toEqual(["sourceSpoofed"]);
  }
  for (const type of [130, 131, 132, 143])
    expect(site.send(discovery("fe80::2", "ff02::16", type, 1)).verdict).toBe("ok");
});

test("other multicast is judged like anything else", () => {
  for (const [family, destination, identity] of [
    ["IPv4", "224.0.0.251", IDENTITY.worldIpv4],
    ["IPv6", "ff02::fb", IDENTITY.worldIpv6],
  ] as const) {
    const packet = ipPacket({
      source: FAMILIES[family].pod,
      destination,
      payload: udpDatagram([5353, 5353]),
    });
    site.enforce([]);
    expect(site.send(packet).drops).toEqual(["policyDenied"]);
    site.enforce([egress.allow({ identity, protocol: PROTOCOL.udp, port: 5353 })]);
    expect(site.send(packet).verdict).toBe("ok");
  }
});
