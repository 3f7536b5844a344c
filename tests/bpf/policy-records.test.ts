// What is told of flows: which records are made when, what they say, and that those which found no
// room are counted.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { collectConnections } from "../../bpf/connections.ts";
import { addressFromMapAddress } from "../../bpf/address.ts";
import { DropReason } from "../../bpf/gen/drop.ts";
import {
  flowRecordCodec,
  FlowKind,
  FlowVerdict,
  TrafficDirection,
  type FlowRecord,
} from "../../bpf/gen/layout.ts";
import { ICMP, icmpMessage } from "./odd-packets.ts";
import { ipPacket, PROTOCOL, TCP_FLAG, tcpSegment, udpDatagram } from "./packet.ts";
import {
  createPolicySite,
  egress,
  FAMILIES,
  IDENTITY,
  ingress,
  type PolicySite,
} from "./policy-site.ts";
import { SLOW_MACHINE_MS } from "./scratch.ts";
import { LOOPBACK_IFINDEX } from "./test-run.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const { pod, own, world } = FAMILIES.IPv4;
const { syn, ack, fin } = TCP_FLAG;
const RING_BYTES = 1 << 16;

let site: PolicySite;

beforeAll(async () => {
  site = await createPolicySite(new Map([["flow_records", RING_BYTES]]));
});

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  site.forgetConnections();
});

const there = (flags: number, data = ""): Buffer =>
  ipPacket({
    source: pod,
    destination: own,
    protocol: PROTOCOL.tcp,
    payload: tcpSegment({ ports: [40_000, 80], sequence: 1, flags, data }),
  });
const back = (flags: number, data = ""): Buffer =>
  ipPacket({
    source: own,
    destination: pod,
    protocol: PROTOCOL.tcp,
    payload: tcpSegment({ ports: [80, 40_000], sequence: 1, flags, data }),
  });
const datagram = (port: number, source: string = pod, destination: string = own): Buffer =>
  ipPacket({ source, destination, payload: udpDatagram([port, 53]) });

function ends({ source, destination, sourcePort, destinationPort }: FlowRecord): string {
  const [from, to] = [source, destination].map((bytes) => addressFromMapAddress(bytes).text);
  return `${from}:${sourcePort} ${to}:${destinationPort}`;
}

/** As if so many seconds had passed since the last record. */
function age(seconds: number): void {
  const { connections } = site.datapath.maps;
  for (const [key, row] of connections.entries())
    connections.put(key, {
      ...row,
      lastReportNs: row.lastReportNs - BigInt(seconds) * 1_000_000_000n,
    });
}

describe("flow records", () => {
  test("tell a connection from its first packet to its end", () => {
    site.enforce([egress.allow({ identity: IDENTITY.own, rule: 12 })]);
    const told = [
      site.send(there(syn)),
      site.receive(back(syn | ack)),
      site.send(there(ack)),
      site.send(there(ack, "question")),
      site.receive(back(ack, "answer")),
      site.send(there(fin | ack)),
      site.receive(back(fin | ack)),
      site.send(there(ack)),
    ].map(({ records }) => records);
    expect(told.map((records) => records.map(({ kind }) => kind))).toEqual([
      [FlowKind.new],
      [FlowKind.update],
      [],
      [],
      [],
      [FlowKind.update],
      [FlowKind.closed],
      [],
    ]);
    const records = told.flat();
    expect(records[0]).toMatchObject({
      verdict: FlowVerdict.forwarded,
      dropReason: 0,
      direction: TrafficDirection.egress,
      isReply: 0,
      sourceIdentity: IDENTITY.pod,
      destinationIdentity: IDENTITY.own,
      protocol: PROTOCOL.tcp,
      tcpFlags: syn,
      rule: 12,
      ifindex: LOOPBACK_IFINDEX,
      packets: 1n,
      bytes: 40n,
      replyPackets: 0n,
      replyBytes: 0n,
    });
    expect(records.map(ends)).toEqual([
      "10.1.0.2:40000 10.1.7.2:80",
      "10.1.7.2:80 10.1.0.2:40000",
      "10.1.0.2:40000 10.1.7.2:80",
      "10.1.7.2:80 10.1.0.2:40000",
    ]);
    expect(records[1]).toMatchObject({
      isReply: 1,
      direction: TrafficDirection.egress,
      sourceIdentity: IDENTITY.own,
      destinationIdentity: IDENTITY.pod,
      tcpFlags: syn | ack,
      packets: 0n,
      replyPackets: 1n,
      replyBytes: 40n,
    });
    expect(records[2]).toMatchObject({
      packets: 3n,
      bytes: 128n,
      replyPackets: 1n,
      replyBytes: 46n,
    });
    expect(records[3]).toMatchObject({ packets: 0n, replyPackets: 1n, tcpFlags: syn | ack | fin });
  });

  test("tell of what goes on every five seconds", () => {
    site.enforce([egress.allow({ identity: IDENTITY.own })]);
    site.send(datagram(5000));
    expect(site.send(datagram(5000)).records).toEqual([]);
    age(4);
    expect(site.send(datagram(5000)).records).toEqual([]);
    age(2);
    expect(site.send(datagram(5000)).records).toMatchObject([
      { kind: FlowKind.update, packets: 3n, bytes: 84n },
    ]);
    expect(site.send(datagram(5000)).records).toEqual([]);
  });

  test("tell what came in as what came in", () => {
    site.enforce([ingress.allow({ identity: IDENTITY.own })]);
    const { records } = site.receive(datagram(5000, own, pod));
    expect(records).toMatchObject([
      { kind: FlowKind.new, direction: TrafficDirection.ingress, isReply: 0, packets: 1n },
    ]);
    expect(records.map(ends)).toEqual(["10.1.7.2:5000 10.1.0.2:53"]);
  });

  test("tell ICMP by its type", () => {
    site.enforce([egress.allow({ identity: IDENTITY.own })]);
    const { protocol, echo } = ICMP.IPv4;
    const payload = icmpMessage(echo, { identifier: 5 });
    expect(
      site.send(ipPacket({ source: pod, destination: own, protocol, payload })).records,
    ).toMatchObject([{ protocol, icmpType: echo, icmpCode: 0, sourcePort: 0, destinationPort: 0 }]);
  });

  test("tell of a drop at once, then once a second how many there were", () => {
    site.enforce([egress.deny({ identity: IDENTITY.own, rule: 13 })]);
    const [first] = site.send(datagram(5000)).records;
    expect(first).toMatchObject({
      kind: FlowKind.dropped,
      verdict: FlowVerdict.dropped,
      dropReason: DropReason.policyDenyRule,
      direction: TrafficDirection.egress,
      destinationIdentity: IDENTITY.own,
      rule: 13,
      packets: 1n,
      bytes: 28n,
    });
    for (let i = 0; i < 3; i++) expect(site.send(datagram(5000)).records).toEqual([]);
    // Another flow, and another reason, are told of at once.
    expect(site.send(datagram(5001)).records).toHaveLength(1);
    site.enforce([]);
    expect(site.send(datagram(5000)).records).toMatchObject([
      { dropReason: DropReason.policyDenied, rule: 0 },
    ]);
    site.enforce([egress.deny({ identity: IDENTITY.own, rule: 13 })]);
    site.ageDenials(2);
    expect(site.send(datagram(5000)).records).toMatchObject([{ packets: 4n, bytes: 112n }]);
  });

  test("tell of the last drops when there are no more", () => {
    site.enforce([]);
    for (let i = 0; i < 3; i++) site.send(datagram(5000));
    site.records();
    site.ageDenials(2);
    collectConnections(site.bpfRoot);
    expect(site.records()).toMatchObject([{ kind: FlowKind.dropped, packets: 2n, bytes: 56n }]);
    collectConnections(site.bpfRoot);
    expect(site.records()).toEqual([]);
  });

  test("tell of spoofing and of what cannot be read", () => {
    site.enforce([egress.allow({ identity: 0 })]);
    expect(site.send(datagram(5000, world)).records).toMatchObject([
      { dropReason: DropReason.sourceSpoofed, kind: FlowKind.dropped },
    ]);
    const short = ipPacket({ source: pod, destination: own, payload: Buffer.alloc(4) });
    expect(site.send(short).records).toMatchObject([{ dropReason: DropReason.malformed }]);
  });

  test("tell of a connection that was cut: its end and the drop", () => {
    site.enforce([egress.allow({ identity: IDENTITY.own })]);
    site.send(datagram(5000));
    site.send(datagram(5000));
    site.enforce([]);
    expect(site.send(datagram(5000)).records).toMatchObject([
      { kind: FlowKind.closed, packets: 1n },
      { kind: FlowKind.dropped, dropReason: DropReason.policyDenied },
    ]);
  });

  test("that find no room are counted, and what they would have said comes later", () => {
    site.enforce([egress.allow({ identity: IDENTITY.own })]);
    const before = site.count("flowRecordsLost");
    const room = Math.floor(RING_BYTES / (flowRecordCodec.size + 8));
    for (let port = 1; port <= room + 10; port++) site.sendBlind(datagram(port));
    const lost = site.count("flowRecordsLost") - before;
    const records = site.records();
    expect(records.length + Number(lost)).toBe(room + 10);
    expect(lost).toBeGreaterThanOrEqual(10n);
    age(6);
    expect(site.send(datagram(room + 10)).records).toMatchObject([
      { kind: FlowKind.update, packets: 2n },
    ]);
  });
});
