// Packets that are more than a header and its payload: fragments, IPv6 extension headers, ICMP
// errors that quote others.
import { parseAddress } from "../../mesh/core/address.ts";
import { ipPacket, isIpv4, PROTOCOL, withBytes } from "./packet.ts";

/** IANA's numbers. */
export const HEADER = {
  hopByHop: 0,
  routing: 43,
  fragment: 44,
  authentication: 51,
  none: 59,
} as const;
export const DESTINATION_OPTIONS = 60;
export const SCTP = 132;
export const GRE = 47;

export const ICMP = {
  IPv4: { protocol: 1, echo: 8, reply: 0, unreachable: 3, timeExceeded: 11, other: 13 },
  IPv6: { protocol: 58, echo: 128, reply: 129, unreachable: 1, timeExceeded: 3, other: 139 },
} as const;

const ETHERNET_BYTES = 14;
const MORE_FRAGMENTS = 0x2000;

/** The common header of SCTP, and a chunk's worth of bytes. */
export function sctpPacket(ports: readonly [number, number]): Buffer {
  const packet = Buffer.alloc(28);
  packet.writeUInt16BE(ports[0], 0);
  packet.writeUInt16BE(ports[1], 2);
  return packet;
}

export function icmpMessage(
  type: number,
  { identifier = 0, payload = Buffer.alloc(0) }: { identifier?: number; payload?: Buffer } = {},
): Buffer {
  const header = Buffer.from([type, 0, 0, 0, identifier >> 8, identifier & 0xff, 0, 1]);
  return Buffer.concat([header, payload]);
}

/** The error that somebody sends about `packet`, to whoever sent it. */
export function icmpError(
  packet: Buffer,
  { from, to, type }: { readonly from: string; readonly to: string; readonly type: number },
): Buffer {
  const ipv4 = isIpv4(packet);
  const quoted = packet.subarray(ETHERNET_BYTES, ETHERNET_BYTES + (ipv4 ? 28 : 48));
  return ipPacket({
    source: from,
    destination: to,
    protocol: ipv4 ? PROTOCOL.icmp : PROTOCOL.icmpv6,
    payload: icmpMessage(type, { payload: quoted }),
  });
}

export interface FragmentFields {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** What stands behind the IP header of this fragment. */
  readonly payload: Buffer;
  /** In units of 8 bytes. */
  readonly offset: number;
  readonly more: boolean;
  readonly identification?: number;
}

export function fragmentPacket(fields: FragmentFields): Buffer {
  const { source, destination, protocol, payload, offset, more, identification = 77 } = fields;
  if (parseAddress(source).family === 4) {
    const packet = ipPacket({ source, destination, protocol, payload });
    const place = Buffer.alloc(4);
    place.writeUInt16BE(identification, 0);
    place.writeUInt16BE(offset | (more ? MORE_FRAGMENTS : 0), 2);
    return withBytes(packet, 4, [...place]);
  }
  const header = Buffer.alloc(8);
  header[0] = protocol;
  header.writeUInt16BE((offset << 3) | Number(more), 2);
  header.writeUInt32BE(identification, 4);
  return ipPacket({
    source,
    destination,
    protocol: HEADER.fragment,
    payload: Buffer.concat([header, payload]),
  });
}

/** An IPv6 packet with these headers between the first one and `payload`. */
export function extendedPacket(
  ends: { readonly source: string; readonly destination: string },
  { headers, protocol, payload }: { headers: readonly number[]; protocol: number; payload: Buffer },
): Buffer {
  const [first = protocol] = headers;
  const chain = headers.map((_, i) => {
    const header = Buffer.alloc(headers[i] === HEADER.authentication ? 16 : 8);
    header[0] = headers[i + 1] ?? protocol;
    header[1] = headers[i] === HEADER.authentication ? 2 : 0;
    return header;
  });
  return ipPacket({ ...ends, protocol: first, payload: Buffer.concat([...chain, payload]) });
}
