// Ports as a longest-prefix-match trie can hold them: a range is the fewest prefixes that cover it
// and nothing else. Pure.
import type { PortMatch } from "../../mesh/core/policy.ts";

/** A port that a container has given a name. */
export interface NamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

export interface PortPrefix {
  /** IP protocol; 0 is every protocol, and then port and bits are 0 too. */
  readonly protocol: number;
  /** Host order; bits behind the prefix are 0. Of ICMP the type. */
  readonly port: number;
  /** 0 … 16. */
  readonly bits: number;
}

export type NumberedPortMatch = Exclude<PortMatch, { readonly name: string }>;
export type NamedPortMatch = Extract<PortMatch, { readonly name: string }>;

export const EVERY_PORT: PortPrefix = { protocol: 0, port: 0, bits: 0 };
export const PORT_BITS = 16;

/** IANA's numbers. */
export const IP_PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPv6: 58, SCTP: 132 } as const;

const PORTS = 1 << PORT_BITS;

/** Both inclusive; a range that ends before it begins is empty. */
export function portPrefixes(first: number, last: number): Omit<PortPrefix, "protocol">[] {
  const prefixes = [];
  for (let port = Math.max(0, first); port <= Math.min(last, PORTS - 1);) {
    // The largest block that begins here, and does not go beyond the end.
    let size = port === 0 ? PORTS : port & -port;
    while (port + size - 1 > last) size /= 2;
    prefixes.push({ port, bits: PORT_BITS - Math.log2(size) });
    port += size;
  }
  return prefixes;
}

export function isNamed(match: PortMatch): match is NamedPortMatch {
  return "name" in match;
}

export function prefixesFromMatch(match: NumberedPortMatch): PortPrefix[] {
  if ("type" in match) {
    return [{ protocol: IP_PROTOCOL[match.protocol], port: match.type, bits: PORT_BITS }];
  }
  const prefixes = portPrefixes(match.first, match.last);
  return protocolsOf(match.protocol).flatMap((protocol) =>
    prefixes.map(({ port, bits }) => ({ protocol, port, bits })),
  );
}

/** What a name means where these ports are; nothing, where none has it. */
export function prefixesFromNamed(
  matches: readonly NamedPortMatch[],
  ports: readonly NamedPort[],
): PortPrefix[] {
  return matches.flatMap((match) =>
    ports
      .filter(({ name, protocol }) => {
        return name === match.name && (match.protocol === "ANY" || match.protocol === protocol);
      })
      .map(({ port, protocol }) => ({ protocol: IP_PROTOCOL[protocol], port, bits: PORT_BITS })),
  );
}

/** The same number for the same prefix, below 2^29. */
export function portPrefixKey({ protocol, port, bits }: PortPrefix): number {
  return (protocol << 21) | (port << 5) | bits;
}

export function portPrefixFromKey(key: number): PortPrefix {
  return { protocol: key >> 21, port: (key >> 5) & (PORTS - 1), bits: key & 31 };
}

export function portPrefixHolds(prefix: PortPrefix, protocol: number, port: number): boolean {
  if (prefix.protocol === 0) return true;
  if (prefix.protocol !== protocol) return false;
  return port >> (PORT_BITS - prefix.bits) === prefix.port >> (PORT_BITS - prefix.bits);
}

/** Keys of all prefixes that hold all of this one, itself first, the widest last. */
export function* coveringKeys(prefix: PortPrefix): Generator<number> {
  const { protocol } = prefix;
  if (protocol !== 0) {
    for (let { bits } = prefix; bits >= 0; bits--) {
      const port = prefix.port & ~((1 << (PORT_BITS - bits)) - 1);
      yield portPrefixKey({ protocol, port, bits });
    }
  }
  yield portPrefixKey(EVERY_PORT);
}

function protocolsOf(protocol: "TCP" | "UDP" | "SCTP" | "ANY"): readonly number[] {
  if (protocol !== "ANY") return [IP_PROTOCOL[protocol]];
  return [IP_PROTOCOL.TCP, IP_PROTOCOL.UDP, IP_PROTOCOL.SCTP];
}
