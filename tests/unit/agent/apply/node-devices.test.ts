import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createNodeDevices, overlayMac } from "../../../../agent/apply/node-devices.ts";
import { createScriptedIp, type ScriptedIp } from "../../../fakes/ip-command.ts";

const never = new AbortController().signal;
const NODE_ID = "east/node1";
const VXLAN = {
  ifindex: 7,
  address: overlayMac(NODE_ID),
  mtu: 1450,
  linkinfo: { info_kind: "vxlan", info_data: { external: true, port: 8472 } },
};

describe("createNodeDevices()", () => {
  let procSysNet: string;
  let ip: ScriptedIp;
  const devices = () =>
    createNodeDevices({ ip, device: "tombolo_vxlan", port: 8472, procSysNet, nodeId: NODE_ID });
  const setting = (name: string): Promise<string> => readFile(join(procSysNet, name), "utf8");
  const know = (name: string, link: Record<string, unknown>): void => {
    ip.answers.set(`-details link show dev ${name}`, [link]);
  };

  beforeEach(async () => {
    ip = createScriptedIp();
    procSysNet = await mkdtemp(join(tmpdir(), "tombolo-sysctl-"));
    for (const name of [
      "ipv4/ip_forward",
      "ipv6/conf/all/forwarding",
      "ipv4/conf/tombolo_vxlan/rp_filter",
      "ipv6/conf/tombolo_vxlan/accept_ra",
    ]) {
      await mkdir(dirname(join(procSysNet, name)), { recursive: true });
      await writeFile(join(procSysNet, name), "1\n");
    }
  });
  afterEach(() => rm(procSysNet, { recursive: true }));

  test("ensureOverlay() makes the devices that are not there", async () => {
    await devices().ensureOverlay(never);
    expect(ip.lines[0]).toMatch(
      /^link add tombolo_vxlan address [0-9a-f:]+ type vxlan external dstport 8472 udp6zerocsumrx$/,
    );
    expect(ip.lines).toContain("link set tombolo_vxlan arp off up");
    expect(ip.lines).toContain("link add tombolo_host type veth peer name tombolo_net");
  });

  test("ensureOverlay() adopts the devices that are", async () => {
    know("tombolo_vxlan", VXLAN);
    know("tombolo_host", { ifindex: 8 });
    expect(await devices().ensureOverlay(never)).toBe(7);
    expect(ip.lines.filter((line) => line.includes(" add "))).toEqual([]);
    expect(ip.lines.filter((line) => line.includes("address"))).toEqual([]);
  });

  test("ensureOverlay() gives a device that other nodes have too an address of its own", async () => {
    know("tombolo_vxlan", { ...VXLAN, address: "02:74:6f:6d:62:6f" });
    know("tombolo_host", {});
    await devices().ensureOverlay(never);
    expect(ip.lines).toContain(`link set tombolo_vxlan address ${overlayMac(NODE_ID)}`);
  });

  test("ensureOverlay() sets what forwarding needs, and passes over what the kernel has not", async () => {
    know("tombolo_vxlan", VXLAN);
    know("tombolo_host", {});
    await devices().ensureOverlay(never);
    expect(await setting("ipv4/ip_forward")).toBe("1\n");
    expect(await setting("ipv4/conf/tombolo_vxlan/rp_filter")).toBe("2");
    expect(await setting("ipv6/conf/tombolo_vxlan/accept_ra")).toBe("0");
  });

  for (const [what, link] of [
    ["another kind of device", { ...VXLAN, linkinfo: { info_kind: "dummy" } }],
    ["a device without a kind", { ifindex: 1 }],
    [
      "a VXLAN device on another port",
      { linkinfo: { info_kind: "vxlan", info_data: { external: true, port: 4789 } } },
    ],
    [
      "a VXLAN device of one network",
      { linkinfo: { info_kind: "vxlan", info_data: { external: false, port: 8472 } } },
    ],
  ] as const) {
    test(`ensureOverlay() refuses ${what}`, async () => {
      know("tombolo_vxlan", link);
      await expect(devices().ensureOverlay(never)).rejects.toMatchObject({
        code: "conflict",
        hint: expect.stringContaining("ip link del tombolo_vxlan"),
      });
    });
  }

  test("configure() changes only what differs", async () => {
    know("tombolo_vxlan", { ...VXLAN, mtu: 1430 });
    know("tombolo_host", { mtu: 1450 });
    ip.answers.set("address show dev tombolo_host", [
      { addr_info: [{ local: "10.1.1.1" }, { local: "10.9.9.1" }] },
    ]);
    const node = { mtu: 1450, routerAddresses: ["10.1.1.1", "fd00::1"] };
    await devices().configure(node, never);
    expect(ip.lines).toEqual([
      "link set tombolo_vxlan mtu 1450",
      "address add fd00::1/128 dev tombolo_host nodad",
      "address del 10.9.9.1/32 dev tombolo_host",
    ]);
  });
});

describe("overlayMac()", () => {
  test("is a unicast address of local administration, another one for every node", () => {
    const macs = ["east/node1", "east/node2", "west/node1"].map(overlayMac);
    expect(new Set(macs).size).toBe(3);
    for (const mac of macs) expect(mac).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
    expect(overlayMac("east/node1")).toBe(macs[0]);
  });
});
