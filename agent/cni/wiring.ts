// The veth pair of a pod as lines for `ip -batch`: pure. Names and MACs follow from the container,
// so both ends are set up without asking the kernel what it chose.
//
//   pod's namespace                      node's namespace
//   eth0  10.1.1.5/32   ───────────────  tblXXXXXXXX   route 10.1.1.5 → here
//     default via ROUTER, which is on      10.1.1.5 is at POD_MAC, for good
//     this link and at HOST_MAC, for good
//
// Nothing is ever resolved on the link: no ARP, no neighbour discovery.
import { createHash } from "node:crypto";
import type { Attachment, AttachedAddress } from "./result.ts";

/** With the hash 15 characters, which is what the kernel allows. */
export const HOST_INTERFACE_PREFIX = "tbl";
const HASH_CHARACTERS = 12;
/** No other interface has such a name. */
export const HOST_INTERFACE_NAME = /^tbl[0-9a-f]{12}$/;

export interface PairNames {
  readonly hostInterface: string;
  readonly hostMac: string;
  readonly podMac: string;
}

/** The same for every call about the same interface of the same container. */
export function pairNames(containerId: string, ifName: string): PairNames {
  const hash = createHash("sha256").update(`${containerId} ${ifName}`).digest();
  return {
    hostInterface: HOST_INTERFACE_PREFIX + hash.toString("hex").slice(0, HASH_CHARACTERS),
    hostMac: macFromBytes(hash.subarray(8, 14)),
    podMac: macFromBytes(hash.subarray(14, 20)),
  };
}

/** Run in the node's namespace: makes both ends, the pod's already in its place. */
export function hostLines(attachment: Attachment): string[] {
  const { hostInterface, hostMac, podInterface, podMac, netns, mtu, addresses } = attachment;
  return [
    `link add ${hostInterface} address ${hostMac} mtu ${mtu} type veth` +
      ` peer name ${podInterface} address ${podMac} mtu ${mtu} netns ${netns}`,
    // No link-local address: the host side talks to nobody but the pod.
    `link set ${hostInterface} addrgenmode none`,
    `link set ${hostInterface} up`,
    ...addresses.flatMap(({ family, address }) => [
      `route replace ${hostPrefix(family, address)} dev ${hostInterface}${linkScope(family)}`,
      `neigh replace ${address} lladdr ${podMac} dev ${hostInterface} nud permanent`,
    ]),
  ];
}

/** Run in the pod's namespace. */
export function podLines({ podInterface, hostMac, addresses }: Attachment): string[] {
  return [
    `link set ${podInterface} up`,
    ...addresses.flatMap(({ family, address, gateway }) => [
      `addr add ${hostPrefix(family, address)} dev ${podInterface}${family === 6 ? " nodad" : ""}`,
      `neigh replace ${gateway} lladdr ${hostMac} dev ${podInterface} nud permanent`,
      `route add ${hostPrefix(family, gateway)} dev ${podInterface}${linkScope(family)}`,
      `route add default via ${gateway} dev ${podInterface}`,
    ]),
  ];
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
}

/** Locally administered, unicast: the two low bits of the first byte (IEEE 802). */
function macFromBytes(bytes: Uint8Array): string {
  const [first = 0, ...rest] = bytes;
  const all = [(first & 0xfc) | 0x02, ...rest];
  return all.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function hostPrefix(family: AttachedAddress["family"], address: string): string {
  return `${address}/${family === 4 ? 32 : 128}`;
}

/** IPv6 routes have no scope. */
function linkScope(family: AttachedAddress["family"]): string {
  return family === 4 ? " scope link" : "";
}
