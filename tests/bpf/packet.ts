// Builds and reads Ethernet packets: the one definition of each packet of the tests.
import { addressFromBytes, parseAddress } from "../../mesh/core/address.ts";

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;

export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;

/** IANA's numbers. */
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;

export interface PacketFields {
  readonly source: string;
  readonly destination: string;
  readonly hopLimit?: number;
  /** UDP unless told otherwise. */
  readonly protocol?: number;
  /** All behind the IP header. */
  readonly payload?: Uint8Array;
}

export function ethernetPacket(etherType: number, payload: Uint8Array): Buffer {
  const header = Buffer.from("020000000002020000000001".padEnd(ETHERNET_BYTES * 2, "0"), "hex");
  header.writeUInt16BE(etherType, 12);
  return Buffer.concat([header, payload]);
}

/** In IPv4 or IPv6, by the family of the addresses. */
export function ipPacket(fields: PacketFields): Buffer {
  const source = parseAddress(fields.source);
  const destination = parseAddress(fields.destination);
  const payload = fields.payload ?? Buffer.from("............");
  const hopLimit = fields.hopLimit ?? 64;
  const protocol = fields.protocol ?? PROTOCOL.udp;
  if (source.family === 4) {
    const header = Buffer.alloc(IPV4_BYTES);
    header[0] = 0x45;
    header.writeUInt16BE(IPV4_BYTES + payload.length, 2);
    header.writeUInt16BE(0xbeef, 4);
    header[8] = hopLimit;
    header[9] = protocol;
    header.set(source.bytes, 12);
    header.set(destination.bytes, 16);
    header.writeUInt16BE(internetChecksum(header), 10);
    return ethernetPacket(ETHER_TYPE.ipv4, Buffer.concat([header, payload]));
  }
  const header = Buffer.alloc(IPV6_BYTES);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = protocol;
  header[7] = hopLimit;
  header.set(source.bytes, 8);
  header.set(destination.bytes, 24);
  return ethernetPacket(ETHER_TYPE.ipv6, Buffer.concat([header, payload]));
}

export interface SegmentFields {
  readonly ports: readonly [source: number, destination: number];
  readonly sequence: number;
  /** With the ACK flag. */
  readonly acknowledged?: number;
  /** TCP_FLAGs, added up. */
  readonly flags?: number;
  readonly data?: string;
}

/** A TCP header without options and what it carries. The checksum is left out. */
export function tcpSegment(fields: SegmentFields): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(fields.ports[0], 0);
  header.writeUInt16BE(fields.ports[1], 2);
  header.writeUInt32BE(fields.sequence, 4);
  header.writeUInt32BE(fields.acknowledged ?? 0, 8);
  header[12] = 0x50;
  header[13] = (fields.flags ?? 0) | (fields.acknowledged === undefined ? 0 : TCP_FLAG.ack);
  return Buffer.concat([header, Buffer.from(fields.data ?? "")]);
}

/** A UDP header and what it carries. The checksum is left out. */
export function udpDatagram(ports: readonly [number, number], data = ""): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(ports[0], 0);
  header.writeUInt16BE(ports[1], 2);
  header.writeUInt16BE(8 + data.length, 4);
  return Buffer.concat([header, Buffer.from(data)]);
}

/** ICMP for IPv4 or ICMPv6: an echo without its checksum. */
export function echoMessage(type: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type, 0, 0, 0, 0x12, 0x34, 0, 1]), payload]);
}

/** Who sent the packet to whom by which protocol, and what stands behind the IP header. */
export function readIpPacket(packet: Uint8Array): {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly payload: Buffer;
} {
  const ip = Buffer.from(packet.subarray(ETHERNET_BYTES));
  const [at, bytes] = isIpv4(packet) ? [12, 4] : [8, 16];
  const length = isIpv4(packet) ? ip.readUInt16BE(2) : IPV6_BYTES + ip.readUInt16BE(4);
  return {
    source: addressFromBytes(ip.subarray(at, at + bytes)).text,
    destination: addressFromBytes(ip.subarray(at + bytes, at + 2 * bytes)).text,
    protocol: ip[isIpv4(packet) ? 9 : 6] ?? 0,
    payload: ip.subarray(isIpv4(packet) ? IPV4_BYTES : IPV6_BYTES, length),
  };
}

/** Whether the checksum of TCP, ICMP or ICMPv6 is right. */
export function hasValidTransportChecksum(packet: Uint8Array): boolean {
  const { protocol, payload } = readIpPacket(packet);
  const ip = packet.subarray(ETHERNET_BYTES);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(payload.length, 0);
  pseudo.writeUInt32BE(protocol, 4);
  const addresses = isIpv4(packet) ? ip.subarray(12, 20) : ip.subarray(8, 40);
  const summed = protocol === PROTOCOL.icmp ? payload : Buffer.concat([addresses, pseudo, payload]);
  return internetChecksum(summed) === 0;
}

/** What a device makes of a packet whose checksum was left to it: see bpf/lib/refusal.h. */
export function withChecksumOfDevice(packet: Uint8Array, field: number): Buffer {
  const start = ETHERNET_BYTES + (isIpv4(packet) ? IPV4_BYTES : IPV6_BYTES);
  const sealed = Buffer.from(packet);
  sealed.writeUInt16BE(internetChecksum(packet.subarray(start)), start + field);
  return sealed;
}

/** The packet with some bytes behind the Ethernet header replaced. */
export function withBytes(packet: Buffer, offset: number, bytes: readonly number[]): Buffer {
  const changed = Buffer.from(packet);
  changed.set(bytes, ETHERNET_BYTES + offset);
  return changed;
}

export function isIpv4(packet: Uint8Array): boolean {
  return packet[12] === 0x08 && packet[13] === 0x00;
}

export function hopLimitOf(packet: Uint8Array): number | undefined {
  return packet[ETHERNET_BYTES + (isIpv4(packet) ? 8 : 7)];
}

/** Whether the IPv4 header's checksum is right. */
export function hasValidChecksum(packet: Uint8Array): boolean {
  return internetChecksum(packet.subarray(ETHERNET_BYTES, ETHERNET_BYTES + IPV4_BYTES)) === 0;
}

/** RFC 1071 */
function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
