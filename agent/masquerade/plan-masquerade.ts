// Pods speak to what is outside the mesh with their node's address: nothing out there knows a way
// back to a pod's own. One nftables table of ours, as the text that `nft -f` reads. Pure.
//
//   pod ─► leaves through       overlay, another pod of this node   as it is
//                               anything else                       from the node's address there
import { HOST_INTERFACE_PREFIX } from "../cni/wiring.ts";

export const MASQUERADE_TABLE = "inet tombolo";

export interface MasqueradeFacts {
  /** Of our own node; canonical texts. */
  readonly podPrefixes: readonly string[];
  /** Devices that lead to pods and nodes of the mesh. */
  readonly devices: readonly string[];
}

/** Replaces the table as a whole, in one transaction: no packet meets half of it. */
export function planMasquerade({ podPrefixes, devices }: MasqueradeFacts): string {
  const of = (family: 4 | 6): string[] =>
    podPrefixes.filter((prefix) => prefix.includes(":") === (family === 6));
  const inside = [...devices, "lo"].map((name) => `"${name}"`).join(", ");
  const rule = (word: string, prefixes: readonly string[]): string[] =>
    prefixes.length === 0 ? [] : [`    ${word} saddr { ${prefixes.join(", ")} } masquerade`];
  return [
    `table ${MASQUERADE_TABLE}`,
    `delete table ${MASQUERADE_TABLE}`,
    `table ${MASQUERADE_TABLE} {`,
    "  chain leaving {",
    "    type nat hook postrouting priority srcnat; policy accept;",
    `    oifname { ${inside} } return`,
    `    oifname "${HOST_INTERFACE_PREFIX}*" return`,
    ...rule("ip", of(4)),
    ...rule("ip6", of(6)),
    "  }",
    "}",
    "",
  ].join("\n");
}
