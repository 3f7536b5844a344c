// The names of the field for what packets carry as numbers. Pure.
import { DropReason } from "../../bpf/gen/drop.ts";

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [0, "ANY"],
  [1, "ICMP"],
  [6, "TCP"],
  [17, "UDP"],
  [58, "ICMPv6"],
  [132, "SCTP"],
]);

const DROP_WORDS: ReadonlyMap<number, string> = new Map(
  Object.entries(DropReason).map(([name, number]) => [
    number,
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  ]),
);

/** `TCP`; 0 is `ANY`, and a protocol that policies cannot name is its number. */
export function protocolName(protocol: number): string {
  return PROTOCOLS.get(protocol) ?? String(protocol);
}

/** Of the names above; undefined for any other text. */
export function protocolFromName(name: string): number | undefined {
  const wanted = name.toLowerCase();
  for (const [number, known] of PROTOCOLS) if (known.toLowerCase() === wanted) return number;
  return undefined;
}

/** Whether a type stands for its port. */
export function isIcmp(protocol: number): boolean {
  return protocol === 1 || protocol === 58;
}

/** `policy-denied`: the words of `mesh bpf drops`; "" for what was not dropped. */
export function dropWord(reason: number): string {
  if (reason === DropReason.none) return "";
  return DROP_WORDS.get(reason) ?? `reason-${reason}`;
}
