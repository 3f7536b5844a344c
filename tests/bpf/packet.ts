// Builds and reads Ethernet packets: the one definition of each packet of the tests.
import { parseAddress } from "../../mesh/core/address.ts";

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP = 17;

export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;

export interface PacketFields {
  readonly source: string;
  readonly destination: string;
  readonly hopLimit?: number;
  readonly payload?: Uint8Array;
}

export function ethernetPacket(etherType: number, payload: Uint8Array): Buffer {
  const header = Buffer.from("020000000002020000000001".padEnd(ETHERNET_BYTES * 2, "0"), "hex");
  header.writeUInt16BE(etherType, 12);
  return Buffer.concat([header, payload]);
}

/** UDP in IPv4 or IPv6, by the family of the addresses. */
export function ipPacket(fields: PacketFields): Buffer {
  const source = parseAddress(fields.source);
  const destination = parseAddress(fields.destination);
  const payload = fields.payload ?? Buffer.from("............");
  const hopLimit = fields.hopLimit ?? 64;
  if (source.family === 4) {
    const header = Buffer.alloc(IPV4_BYTES);
    header[0] = 0x45;
    header.writeUInt16BE(IPV4_BYTES + payload.length, 2);
    header.writeUInt16BE(0xbeef, 4);
    header[8] = hopLimit;
    header[9] = UDP;
    header.set(source.bytes, 12);
    header.set(destination.bytes, 16);
    header.writeUInt16BE(internetChecksum(header), 10);
    return ethernetPacket(ETHER_TYPE.ipv4, Buffer.concat([header, payload]));
  }
  const header = Buffer.alloc(IPV6_BYTES);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = UDP;
  header[7] = hopLimit;
  header.set(source.bytes, 8);
  header.set(destination.bytes, 24);
  return ethernetPacket(ETHER_TYPE.ipv6, Buffer.concat([header, payload]));
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
