// The node's own devices and kernel settings: the overlay device, a device that carries the
// node's address in each pod prefix, forwarding. Every step looks first and changes only what
// differs; nothing that was not made here is removed.
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import type { IpCommand } from "./ip-command.ts";

export interface NodeDevicesOptions {
  readonly ip: IpCommand;
  /** The overlay device's name. */
  readonly device: string;
  readonly port: number;
  /**
   * Where the kernel's network settings can be written: /proc/sys/net, or another mount of it
   * where that one is read-only, as in most containers.
   */
  readonly procSysNet: string;
  /** Names the node among all nodes of all clusters: "CLUSTER/NODE". */
  readonly nodeId: string;
}

export interface NodeDevices {
  /** Makes the overlay device and sets what forwarding needs; returns its interface index. */
  ensureOverlay(signal: AbortSignal): Promise<number>;
  /** Gives the devices the MTU, and the node its router addresses (canonical texts). */
  configure(
    node: { readonly mtu: number; readonly routerAddresses: readonly string[] },
    signal: AbortSignal,
  ): Promise<void>;
}

/**
 * Carries the node's addresses in its pod prefixes. A veth pair of which nobody uses the other
 * end: unlike a dummy device every kernel that can run pods has it.
 */
export const HOST_DEVICE = "tombolo_host";
const HOST_DEVICE_PEER = "tombolo_net";

/**
 * The address of a node's overlay device: another one on every node. The device resolves no
 * neighbours (`arp off`), so the kernel addresses a node's own frames to the sender's address;
 * from_overlay does not mind, but VXLAN drops a frame whose source is the receiver's own address,
 * because it takes it for a loop.
 */
export function overlayMac(nodeId: string): string {
  const bytes = createHash("sha256").update(nodeId).digest().subarray(0, 6);
  // Locally administered, not a group.
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

export function createNodeDevices(options: NodeDevicesOptions): NodeDevices {
  const { ip, device, port, procSysNet } = options;
  const mac = overlayMac(options.nodeId);

  return {
    async ensureOverlay(signal) {
      const found = await findLink(ip, device, signal);
      if (found === undefined) {
        await ip.batch(
          [
            `link add ${device} address ${mac} type vxlan external dstport ${port} udp6zerocsumrx`,
            `link set ${device} addrgenmode none`,
          ],
          signal,
        );
      } else {
        refuseOtherDevice(found, options);
        if (found["address"] !== mac) {
          await ip.run(["link", "set", device, "address", mac], signal);
        }
      }
      await ip.run(["link", "set", device, "arp", "off", "up"], signal);
      if ((await findLink(ip, HOST_DEVICE, signal)) === undefined) {
        await ip.batch(
          [
            `link add ${HOST_DEVICE} type veth peer name ${HOST_DEVICE_PEER}`,
            `link set ${HOST_DEVICE} addrgenmode none`,
            `link set ${HOST_DEVICE_PEER} addrgenmode none`,
          ],
          signal,
        );
      }
      await ip.batch([`link set ${HOST_DEVICE} up`, `link set ${HOST_DEVICE_PEER} up`], signal);
      for (const [name, value] of kernelSettings(device)) {
        await ensureSysctl(`${procSysNet}/${name}`, value);
      }
      const link = found ?? (await findLink(ip, device, signal));
      return Number(link?.["ifindex"]);
    },
    async configure(node, signal) {
      const lines: string[] = [];
      for (const name of [device, HOST_DEVICE]) {
        const link = await findLink(ip, name, signal);
        if (link?.["mtu"] !== node.mtu) lines.push(`link set ${name} mtu ${node.mtu}`);
      }
      const wanted = new Set(node.routerAddresses);
      const present = await readAddresses(ip, signal);
      for (const address of wanted) {
        if (!present.has(address)) lines.push(addressLine("add", address));
      }
      for (const address of present) {
        if (!wanted.has(address)) lines.push(addressLine("del", address));
      }
      await ip.batch(lines, signal);
    },
  };
}

/** Setting → value; only what differs is written. */
function kernelSettings(device: string): readonly (readonly [string, string])[] {
  return [
    ["ipv4/ip_forward", "1"],
    ["ipv6/conf/all/forwarding", "1"],
    // Loose: an answer may come from a node's address that is not routed into the overlay.
    [`ipv4/conf/${device}/rp_filter`, "2"],
    [`ipv6/conf/${device}/accept_ra`, "0"],
    [`ipv6/conf/${HOST_DEVICE}/accept_ra`, "0"],
  ];
}

async function ensureSysctl(path: string, value: string): Promise<void> {
  try {
    if ((await readFile(path, "utf8")).trim() === value) return;
    await writeFile(path, value);
  } catch (cause) {
    // A kernel without IPv6 has no such setting, and needs none.
    if ((cause as NodeJS.ErrnoException).code === "ENOENT" && path.includes("/ipv6/")) return;
    throw new MeshError("unavailable", `Cannot set kernel setting "${path}" to ${value}`, {
      cause,
    });
  }
}

async function findLink(
  ip: IpCommand,
  name: string,
  signal: AbortSignal,
): Promise<Record<string, unknown> | undefined> {
  try {
    const [link] = await ip.query(["-details", "link", "show", "dev", name], signal);
    return link;
  } catch (error) {
    if (isMeshError(error, "not_found")) return undefined;
    throw error;
  }
}

function refuseOtherDevice(
  link: Readonly<Record<string, unknown>>,
  options: { readonly device: string; readonly port: number },
): void {
  const info = link["linkinfo"] as { info_kind?: string; info_data?: Record<string, unknown> };
  const data = info?.info_data;
  if (info?.info_kind === "vxlan" && data?.["external"] === true && data["port"] === options.port)
    return;
  throw new MeshError(
    "conflict",
    `Cannot use device "${options.device}": it exists and is no VXLAN device in external mode on port ${options.port}`,
    { hint: `remove it with \`ip link del ${options.device}\`, or name another in overlay.device` },
  );
}

async function readAddresses(ip: IpCommand, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const [link] = await ip.query(["address", "show", "dev", HOST_DEVICE], signal);
  const addresses = (link?.["addr_info"] ?? []) as readonly Record<string, unknown>[];
  return new Set(addresses.map((address) => String(address["local"])));
}

function addressLine(verb: "add" | "del", address: string): string {
  const length = address.includes(":") ? "128" : "32";
  // Nobody else can have it: no reason to wait for duplicate address detection.
  const flags = verb === "add" && address.includes(":") ? " nodad" : "";
  return `address ${verb} ${address}/${length} dev ${HOST_DEVICE}${flags}`;
}
