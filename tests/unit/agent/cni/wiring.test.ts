import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { hostLines, macBytes, pairNames, podLines } from "../../../../agent/cni/wiring.ts";

const ATTACHMENT = {
  hostInterface: "tbl0",
  hostMac: "02:00:00:00:00:01",
  podInterface: "eth0",
  podMac: "02:00:00:00:00:02",
  netns: "/n",
  mtu: 1450,
  addresses: [
    { family: 4, address: "10.1.1.2", gateway: "10.1.1.1" },
    { family: 6, address: "fd00::2", gateway: "fd00::1" },
  ],
} as const;

describe("pairNames()", () => {
  test("makes names the kernel takes and unicast, locally administered MACs, always the same", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (container, ifName) => {
        const names = pairNames(container, ifName);
        expect(names).toEqual(pairNames(container, ifName));
        expect(names.hostInterface).toMatch(/^tbl[0-9a-f]{12}$/);
        for (const mac of [names.hostMac, names.podMac]) {
          expect(mac).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
        }
        expect(names.hostMac).not.toBe(names.podMac);
      }),
    );
  });
});

describe("hostLines()", () => {
  test("makes the pair in one go and leads both families to it", () => {
    expect(hostLines(ATTACHMENT)).toEqual([
      "link add tbl0 address 02:00:00:00:00:01 mtu 1450 type veth peer name eth0 address 02:00:00:00:00:02 mtu 1450 netns /n",
      "link set tbl0 addrgenmode none",
      "link set tbl0 up",
      "route replace 10.1.1.2/32 dev tbl0 scope link",
      "neigh replace 10.1.1.2 lladdr 02:00:00:00:00:02 dev tbl0 nud permanent",
      "route replace fd00::2/128 dev tbl0",
      "neigh replace fd00::2 lladdr 02:00:00:00:00:02 dev tbl0 nud permanent",
    ]);
  });
});

describe("podLines()", () => {
  test("leads everything to the gateway, which needs no resolving", () => {
    expect(podLines(ATTACHMENT)).toEqual([
      "link set eth0 up",
      "addr add 10.1.1.2/32 dev eth0",
      "neigh replace 10.1.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent",
      "route add 10.1.1.1/32 dev eth0 scope link",
      "route add default via 10.1.1.1 dev eth0",
      "addr add fd00::2/128 dev eth0 nodad",
      "neigh replace fd00::1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent",
      "route add fd00::1/128 dev eth0",
      "route add default via fd00::1 dev eth0",
    ]);
  });
});

describe("macBytes()", () => {
  test("reads six bytes", () => {
    expect([...macBytes("02:0a:ff:00:10:01")]).toEqual([2, 10, 255, 0, 16, 1]);
  });
});
