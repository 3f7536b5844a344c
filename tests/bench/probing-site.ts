// Two nodes in network namespaces of their own, with the real programs on both: one that probes,
// and one whose stack answers for every node of every cluster, as all their addresses are its own.
//
//   near  overlay ── underlay 192.0.2.1 ═══════ 192.0.2.2 underlay ── overlay  far
//   172.20.1.1, fd01:1::1                                    10.0.0.0/8, fd00::/16 local
import { execFileSync } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mountBpffs, unmountBpffs } from "../../bpf/mounts.ts";
import type { OverlayNode } from "../bpf/overlay-node.ts";
import { createCgroup } from "./bench-datapath.ts";

export const OVERLAY = "overlay";
export const OWN_PREFIXES = ["172.20.1.0/24", "fd01:1::/64"] as const;
const OWN_ADDRESSES = ["172.20.1.1/32", "fd01:1::1/128"];
/** Everything in here answers. */
const REMOTE_PREFIXES = ["10.0.0.0/8", "fd00::/16"];
const REMOTE_NODE = 6;
const UNDERLAY = { near: "192.0.2.1", far: "192.0.2.2" } as const;
const OVERLAY_NODE = fileURLToPath(new URL("../bpf/overlay-node.ts", import.meta.url));

type Side = "near" | "far";

export interface ProbingSite {
  /** A command that runs the program on the near node. */
  readonly onNear: (argv: readonly string[]) => [program: string, args: string[]];
  /** Where the near node's maps are pinned. */
  readonly nearRoot: string;
  remove(): Promise<void>;
}

export async function createProbingSite(directory: string): Promise<ProbingSite> {
  const bpffs = join(directory, "probing-bpf");
  const cgroups = { near: createCgroup("near"), far: createCgroup("far") };
  const namespaceOf = (side: Side): string => `tb-bench-${process.pid}-${side}`;
  const enter = (side: Side, argv: readonly string[]): [string, string[]] => [
    "nsenter",
    [`--net=/run/netns/${namespaceOf(side)}`, ...argv],
  ];
  const undo: (() => unknown)[] = [() => rmdirSync(cgroups.near), () => rmdirSync(cgroups.far)];
  const remove = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  try {
    mkdirSync(bpffs, { recursive: true });
    await mountBpffs(bpffs);
    undo.push(() => unmountBpffs(bpffs));
    for (const side of ["near", "far"] as const) {
      execFileSync("ip", ["netns", "add", namespaceOf(side)]);
      undo.push(() => execFileSync("ip", ["netns", "delete", namespaceOf(side)]));
    }
    const ip = (side: Side, words: string): void => {
      execFileSync("ip", ["-n", namespaceOf(side), ...words.split(" ")]);
    };
    ip("near", `link add underlay type veth peer name underlay netns ${namespaceOf("far")}`);
    for (const side of ["near", "far"] as const) {
      for (const words of linkWords(side)) ip(side, words);
    }
    for (const address of OWN_ADDRESSES) {
      ip("near", `address add ${address} dev lo`);
      ip("far", `route add ${address} dev ${OVERLAY}`);
    }
    for (const prefix of REMOTE_PREFIXES) {
      ip("near", `route add ${prefix} dev ${OVERLAY}`);
      ip("far", `route add local ${prefix} dev lo`);
    }
    for (const side of ["near", "far"] as const) {
      const node = nodeOf(side, { bpfRoot: join(bpffs, side), cgroupPath: cgroups[side] });
      const argv = [process.execPath, OVERLAY_NODE, JSON.stringify(node)];
      execFileSync(...enter(side, argv), { stdio: ["ignore", "inherit", "inherit"] });
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { onNear: (argv) => enter("near", argv), nearRoot: join(bpffs, "near"), remove };
}

function linkWords(side: Side): string[] {
  return [
    "link set lo up",
    `address add ${UNDERLAY[side]}/24 dev underlay`,
    "link set underlay up",
    `link add ${OVERLAY} type vxlan external dstport 8472 nolearning udp6zerocsumrx`,
    `link set ${OVERLAY} arp off up`,
  ];
}

function nodeOf(
  side: Side,
  place: { readonly bpfRoot: string; readonly cgroupPath: string },
): OverlayNode {
  const [prefixes, tunnelEndpoint] =
    side === "near" ? [REMOTE_PREFIXES, UNDERLAY.far] : [OWN_ADDRESSES, UNDERLAY.near];
  return {
    ...place,
    objectDirectory: "build/bpf",
    overlayInterface: OVERLAY,
    pods: [],
    ipcache: prefixes.map((prefix) => ({ prefix, identity: REMOTE_NODE, tunnelEndpoint })),
  };
}
