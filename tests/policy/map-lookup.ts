// What a policy map answers, looked up as DESIGN.md ("Policy") says and as plainly as possible: three
// planes, within each the most exact entry, a deny of any plane wins, and silence is a deny.

export interface MapEntry {
  readonly direction: "ingress" | "egress";
  readonly identity: number;
  /** IANA's number; 0 is every protocol. */
  readonly protocol: number;
  /** Both inclusive; of ICMP the type. */
  readonly firstPort: number;
  readonly lastPort: number;
  readonly verdict: "allow" | "deny";
}

export interface MapQuestion {
  readonly direction: "ingress" | "egress";
  /** Of whoever is at the other end. */
  readonly identity: number;
  readonly protocol: "TCP" | "UDP" | "ICMP" | "ICMPv6";
  readonly port: number;
  /** Of the cluster that the map's pod is in. */
  readonly ownClusterId: number;
}

const PROTOCOL_NUMBERS = { ICMP: 1, TCP: 6, UDP: 17, ICMPv6: 58 } as const;

export function mapAllows(entries: readonly MapEntry[], question: MapQuestion): boolean {
  const { identity, ownClusterId } = question;
  const planes = [identity, ...aggregatesOf(identity, ownClusterId), 0];
  const verdicts = planes.map((plane) => planeSays(entries, plane, question));
  return !verdicts.includes("deny") && verdicts.includes("allow");
}

function planeSays(
  entries: readonly MapEntry[],
  plane: number,
  { direction, protocol, port }: MapQuestion,
): "allow" | "deny" | undefined {
  const fitting = entries.filter(
    (entry) =>
      entry.direction === direction &&
      entry.identity === plane &&
      (entry.protocol === 0 || entry.protocol === PROTOCOL_NUMBERS[protocol]) &&
      port >= entry.firstPort &&
      port <= entry.lastPort,
  );
  // A protocol is more exact than none, fewer ports are more exact than many.
  const [best] = fitting.sort(
    (a, b) =>
      Number(a.protocol === 0) - Number(b.protocol === 0) ||
      a.lastPort - a.firstPort - (b.lastPort - b.firstPort),
  );
  return best?.verdict;
}

/** 24 bits of identity, the upper eight of them the cluster's; CIDRs' numbers are beyond. */
function aggregatesOf(identity: number, ownClusterId: number): number[] {
  if (identity >= 2 ** 24 || [2, 9, 10].includes(identity)) return [13];
  if (identity < 256) return [];
  return [identity >> 16 === ownClusterId ? 11 : 12];
}
